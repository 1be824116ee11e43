//! The host of a server vanishes: packets go nowhere, and neither end of a connection is told. It comes back as it was, or
//! as one that knows nothing of the connections of before.

use std::time::{Duration, Instant};

use contracts::order::CreateOrderAccepted;
use contracts::{OrderId, OrderStatus};
use rand::RngExt;
use reqwest::StatusCode;
use tokio::time::sleep;
use uuid::Uuid;

use super::{only_short, scenario};
use crate::api::{Api, IdempotencyKey};
use crate::faults::launch::Plan;
use crate::faults::load::Placed;
use crate::faults::oracle::Outcome;
use crate::faults::relay::Relay;
use crate::faults::remote_host::RemoteHost;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// How long after the host answers again an order may take from being sent to being paid.
const MOST_TIME: Duration = Duration::from_secs(30);

/// How long a host is gone.
const GONE_FOR: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(30), Duration::from_mins(1)];

#[derive(Clone, Copy, Debug)]
enum Server {
    Broker,
    Database,
}

pub(super) fn scenarios() -> Vec<Scenario> {
    if !RemoteHost::is_possible() {
        eprintln!(
            "SKIPPED: hosts that vanish. That needs root, iproute2 and permission to make network namespaces."
        );
        return Vec::new();
    }
    let mut scenarios = Vec::new();
    for (server, name) in [(Server::Broker, "RabbitMQ"), (Server::Database, "PostgreSQL")] {
        for (forgetful, how) in [(false, "as it was"), (true, "without its connections")] {
            let name = format!("the host of {name} vanishes for 5 to 60 s, 4 times, and comes back {how}");
            scenarios.push(scenario(name, move |rig| Box::pin(vanishes(rig, server, forgetful, &GONE_FOR))));
        }
    }
    scenarios.push(only_short(scenario("the host of PostgreSQL vanishes for 15 s", |rig| {
        Box::pin(vanishes(rig, Server::Database, true, &GONE_FOR[1..2]))
    })));
    scenarios
}

async fn vanishes(rig: &mut Rig<'_>, server: Server, forgetful: bool, gone_for: &[Duration]) -> Outcome {
    rig.start(&Plan { remote_servers: true, ..Plan::default() }).await;
    let load = rig.load();
    let api = rig.api();
    let mut probes = Vec::new();
    let mut slowest = Duration::ZERO;
    for time in gone_for {
        // At any moment of the saga.
        let orders = rig.random.random_range(10..40);
        load.wait_for_orders(orders).await;
        let (host, relay) = of(rig, server);
        host.unplug();
        sleep(*time).await;
        if forgetful {
            // The resets go nowhere.
            relay.cut();
            sleep(Duration::from_secs(1)).await;
        }
        host.plug_in();
        let back = Instant::now();
        probes.push(Placed::new(paid(&api, back).await));
        slowest = slowest.max(back.elapsed());
    }
    rig.fault_is_over();
    let mut records = load.stop().await;
    records.placed.extend(probes);
    rig.judge(records)
        .await
        .note(format!(
            "orders were PAID again {:.1} s after the host was back at the latest",
            slowest.as_secs_f64()
        ))
        .expect(slowest < MOST_TIME, "recovery takes too long")
}

fn of<'r>(rig: &'r Rig<'_>, server: Server) -> (&'r RemoteHost, &'r Relay) {
    let relays = &rig.relays;
    let (host, relay) = match server {
        Server::Broker => (&relays.broker_host, &relays.broker),
        Server::Database => (&relays.database_host, &relays.database),
    };
    (host.as_ref().expect("it is remote"), relay.as_ref().expect("it has one"))
}

/// Sends an order, under one key, until it is accepted, and waits until it is paid; gives up long after it should be.
async fn paid(api: &Api, since: Instant) -> OrderId {
    const POLL_INTERVAL: Duration = Duration::from_millis(100);
    let key = Uuid::new_v4().to_string();
    let mut accepted = None;
    while since.elapsed() < 4 * MOST_TIME {
        match accepted {
            None => {
                let answer = api.post_keyed(IdempotencyKey(&key), "10.01").send().await;
                if let Ok(answer) = answer
                    && answer.status() == StatusCode::ACCEPTED
                {
                    let body: CreateOrderAccepted = answer.json().await.expect("the contract's shape");
                    accepted = Some(body.order_id);
                }
            }
            Some(id) => {
                let found = api.request(reqwest::Method::GET, &format!("/api/orders/{id}")).send().await;
                if let Ok(found) = found
                    && found.status() == StatusCode::OK
                    && found
                        .json::<contracts::order::Order>()
                        .await
                        .is_ok_and(|order| order.status == OrderStatus::Paid)
                {
                    return id;
                }
            }
        }
        sleep(POLL_INTERVAL).await;
    }
    panic!("no order was paid {} s after the host was back", since.elapsed().as_secs());
}
