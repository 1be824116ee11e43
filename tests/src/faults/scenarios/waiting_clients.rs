//! Clients that wait for their orders (`Prefer: wait`), and what that costs.

use std::time::Duration;

use contracts::order::Order;
use contracts::{OrderStatus, Timestamp};
use futures_util::future::join_all;
use http::StatusCode;
use paysaga::bench::Latencies;
use paysaga::bench::usage::cpu_of_tree;

use super::scenario;
use crate::api::{self, Api};
use crate::faults::launch::Plan;
use crate::faults::load::{CustomerRecords, Placed};
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Clients that wait at the same time.
const CLIENTS: usize = 200;

/// What all processes but RabbitMQ may spend on these orders, waiting included, in seconds of a processor. The programs of the
/// suite are usually built as it is itself, and a debug build takes several times as long for the same.
const MOST_CPU: f64 = if cfg!(debug_assertions) { 4.0 } else { 1.5 };

/// How long after its order has settled a client may be answered at most. Generous for a debug build, which is what runs on
/// machines that have other work; what it took stands in the notes.
const MOST_DELAY: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 100 });

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("200 clients wait for a provider that takes 3 s", |rig| Box::pin(waiting(rig)))]
}

async fn waiting(rig: &mut Rig<'_>) -> Outcome {
    let environment = [
        ("PROVIDER_LATENCY_MS", "3000"),
        ("PROVIDER_APPROVAL_RATE", "1"),
        ("PROVIDER_TIMEOUT", "20s"),
        ("PROVIDER_CONCURRENCY", "256"),
        ("RUST_LOG", "warn"),
    ];
    let environment = environment.map(|(name, value)| (name, value.to_owned())).to_vec();
    rig.start(&Plan { environment, ..Plan::default() }).await;
    let api = rig.api();
    // So that connections and prepared statements are there.
    let mut records = CustomerRecords::default();
    records.placed.push(Placed::new(api.place("10.01").await));
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await;

    let before = Cpu::now(rig);
    let answers = join_all((0..CLIENTS).map(|_| wait_for_order(&api))).await;
    let spent = Cpu::now(rig).since(&before);

    let mut delays = Vec::new();
    for answer in answers {
        match answer {
            Ok((order, delay)) => {
                records.placed.push(Placed::new(order.id));
                delays.push(delay);
            }
            Err(violation) => records.violations.push(violation),
        }
    }
    let delays = Latencies::of(delays);
    rig.fault_is_over();
    let outcome = rig.judge(records).await;
    outcome
        .note(format!(
            "answered {} ms (p50), {} ms (p99), {} ms (most, bound {}) after the order had settled; gateway {:.2} s, order {:.2} s, payment {:.2} s, \
             PostgreSQL {:.2} s of a processor, together {:.2} s (bound {MOST_CPU}); RabbitMQ {:.2} s",
            delays.median.as_millis(),
            delays.p99.as_millis(),
            delays.max.as_millis(),
            MOST_DELAY.as_millis(),
            spent.services[0],
            spent.services[1],
            spent.services[2],
            spent.postgres,
            spent.of_the_stack(),
            spent.rabbitmq,
        ))
        .expect(spent.of_the_stack() < MOST_CPU, format!("waiting costs {:.2} s", spent.of_the_stack()))
        .expect(delays.max < MOST_DELAY, "a client was answered late")
}

/// Places an order and waits until it is paid. Also how long after that the answer came.
async fn wait_for_order(api: &Api) -> Result<(Order, Duration), String> {
    let request = api.post_order(api::order("10.01")).header("prefer", "wait=30");
    let response = request.send().await.map_err(|error| error.to_string())?;
    let answered = Timestamp::now();
    if response.status() != StatusCode::OK {
        return Err(format!("a client that waits was answered {}", response.status()));
    }
    let order: Order = response.json().await.map_err(|error| error.to_string())?;
    if order.status != OrderStatus::Paid {
        return Err(format!("an order is {}", order.status));
    }
    let delay = (answered.as_datetime() - order.updated_at.as_datetime()).unsigned_abs();
    Ok((order, delay))
}

/// What the processes of a stack have spent so far, in seconds of a processor.
struct Cpu {
    /// Gateway, order, payment.
    services: [f64; 3],
    postgres: f64,
    rabbitmq: f64,
}

impl Cpu {
    fn now(rig: &mut Rig<'_>) -> Self {
        let postgres = rig.servers.postgres().id();
        let rabbitmq = rig.servers.rabbitmq().id();
        let mut services = [0.0; 3];
        for process in &rig.services {
            services[process.service() as usize] += cpu_of_tree(process.id());
        }
        Self { services, postgres: cpu_of_tree(postgres), rabbitmq: cpu_of_tree(rabbitmq) }
    }

    fn since(&self, before: &Self) -> Self {
        let mut services = self.services;
        services.iter_mut().zip(before.services).for_each(|(now, before)| *now -= before);
        Self {
            services,
            postgres: self.postgres - before.postgres,
            rabbitmq: self.rabbitmq - before.rabbitmq,
        }
    }

    fn of_the_stack(&self) -> f64 {
        self.services.iter().sum::<f64>() + self.postgres
    }
}
