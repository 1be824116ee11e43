//! More orders than the saga can settle. What is accepted settles soon all the same, and the rest is refused at once.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::order::CreateOrderAccepted;
use contracts::topology::Service;
use contracts::{OrderId, Timestamp};
use futures_util::future::join_all;
use paysaga::bench::Latencies;
use reqwest::{StatusCode, header};
use sqlx::{FromRow, PgConnection};
use tokio::time::{Instant, sleep};

use super::{place, scenario};
use crate::api::{Api, order};
use crate::faults::launch::Plan;
use crate::faults::load::{CustomerRecords, Placed};
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Orders that wait while the order service is down, to see how fast the stack is without new load. That is measured
/// before and after each overload, because machines that others use too are faster at one time than at another.
const BACKLOG: u32 = 12_000;

/// Connections that send one order after the other, whatever is answered. Some dozens are kept from sending more than the
/// saga settles by how long the broker takes to confirm an order on a busy machine; some hundreds are not.
const CONNECTIONS: [usize; 2] = [64, 512];

const DURATION: Duration = Duration::from_secs(20);

/// Until the saga has as much to do as it is given.
const WARM_UP: Duration = Duration::from_secs(4);

/// Within which 99 % of the accepted orders must be settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// What must be settled in a second, in parts of what is without new load, or of what is offered if that is less.
const LEAST_THROUGHPUT: f64 = 0.85;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("hundreds of connections send orders as fast as they can", |rig| Box::pin(overload(rig)))]
}

async fn overload(rig: &mut Rig<'_>) -> Outcome {
    // A provider that answers at once, so that nothing but the stack itself limits it.
    let environment = vec![
        ("RUST_LOG", "warn".to_owned()),
        ("PROVIDER_LATENCY_MS", "0".to_owned()),
        ("PROVIDER_APPROVAL_RATE", "1".to_owned()),
    ];
    rig.start(&Plan { environment, ..Plan::default() }).await;
    let api = rig.api();
    let mut records = CustomerRecords { placed: place(&api, 500).await, ..CustomerRecords::default() };
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await;
    let mut database = rig.database(Service::Order).await.expect("the database answers");
    let mut drained = vec![drain(rig, &api, &mut records, &mut database).await];
    let mut overloads = Vec::new();
    for connections in CONNECTIONS {
        overloads.push(overload_by(connections, rig, &api, &mut records, &mut database).await);
        drained.push(drain(rig, &api, &mut records, &mut database).await);
    }
    let mut outcome = rig.judge(records).await;
    let refused = overloads.iter().any(|overload| !overload.sent.refusals.is_empty());
    outcome = outcome.expect(refused, "nothing was refused");
    for (overload, drained) in overloads.into_iter().zip(drained.windows(2)) {
        outcome = overload.judge(outcome, drained.iter().sum::<f64>() / 2.0);
    }
    outcome
}

/// How many orders a second the stack settles while there is no new load.
async fn drain(
    rig: &mut Rig<'_>,
    api: &Api,
    records: &mut CustomerRecords,
    database: &mut PgConnection,
) -> f64 {
    let status = rig.first_of(Service::Order).stop().await;
    assert!(status.success(), "the order service ended with {status}");
    // The gateway finds out that it can't be asked how much waits.
    sleep(Duration::from_secs(1)).await;
    let waiting = place(api, BACKLOG).await;
    rig.first_of(Service::Order).start_again().await;
    let ids: Vec<OrderId> = waiting.iter().map(|placed| placed.id).collect();
    records.placed.extend(waiting);
    rig.fault_is_over();
    rig.wait_until_at_rest(records, 0).await;
    drained_per_second(database, &ids).await
}

async fn overload_by(
    connections: usize,
    rig: &mut Rig<'_>,
    api: &Api,
    records: &mut CustomerRecords,
    database: &mut PgConnection,
) -> Overload {
    let began = Timestamp::now();
    let until = Instant::now() + DURATION;
    let mut sent = Sent::default();
    for of_one in join_all((0..connections).map(|_| send(api, until))).await {
        sent.merge(of_one);
    }
    records.placed.extend(sent.accepted.iter().map(|(id, _)| Placed::new(*id)));
    rig.fault_is_over();
    rig.wait_until_at_rest(records, 0).await;
    let settled_per_second = settled_per_second(database, began).await;
    let settled_after = Latencies::of(settle_times(database, &sent.accepted).await);
    Overload { connections, sent, settled_per_second, settled_after }
}

/// What became of the orders that some connections sent.
struct Overload {
    connections: usize,
    sent: Sent,
    settled_per_second: f64,
    settled_after: Latencies,
}

impl Overload {
    /// Adds what was seen, and whether that is good, given how many orders a second are settled without new load.
    fn judge(self, outcome: Outcome, drained: f64) -> Outcome {
        let Self { connections, sent, settled_per_second, settled_after } = self;
        let Latencies { median, p99, .. } = settled_after;
        let refusals = sent.refusals.len();
        let refused = Latencies::of(sent.refusals);
        let offered = sent.accepted.len() + refusals;
        let offered = f64::from(u32::try_from(offered).unwrap_or(u32::MAX)) / DURATION.as_secs_f64();
        let ratio = settled_per_second / drained.min(offered);
        outcome
            .note(format!(
                "{connections} connections: {} accepted, {refusals} refused; settled {settled_per_second:.0} a second, of \
                 {offered:.0} offered and {drained:.0} without new load ({:.0} % of the less, bound {:.0} %); settled after {:.2} s (p50), {:.2} s (p99, bound \
                 {} s); refused after {:.0} ms (p99), Retry-After {:?}",
                sent.accepted.len(),
                ratio * 100.0,
                LEAST_THROUGHPUT * 100.0,
                median.as_secs_f64(),
                p99.as_secs_f64(),
                SETTLED_WITHIN.as_secs(),
                refused.p99.as_secs_f64() * 1000.0,
                sent.retry_after,
            ))
            .expect(sent.others.is_empty(), format!("unexpected answers: {:?}", sent.others))
            .expect(p99 < SETTLED_WITHIN, format!("{connections} connections: 99 % settled after {p99:?}"))
            .expect(
                ratio > LEAST_THROUGHPUT,
                format!("{connections} connections: throughput is {:.0} %", ratio * 100.0),
            )
    }
}

/// What the gateway answered.
#[derive(Default)]
struct Sent {
    /// When each order was accepted.
    accepted: Vec<(OrderId, Timestamp)>,
    /// How long each refusal took.
    refusals: Vec<Duration>,
    /// How often each time was named.
    retry_after: BTreeMap<String, u64>,
    /// Answers that there should not be.
    others: BTreeMap<String, u64>,
}

impl Sent {
    fn merge(&mut self, other: Self) {
        self.accepted.extend(other.accepted);
        self.refusals.extend(other.refusals);
        for (total, of_other) in
            [(&mut self.retry_after, other.retry_after), (&mut self.others, other.others)]
        {
            for (answer, count) in of_other {
                *total.entry(answer).or_default() += count;
            }
        }
    }
}

/// Sends one order after the other.
async fn send(api: &Api, until: Instant) -> Sent {
    let mut sent = Sent::default();
    while Instant::now() < until {
        let asked = Instant::now();
        match api.post_order(order("10.01")).send().await {
            Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                let accepted: CreateOrderAccepted = answer.json().await.expect("the contract's shape");
                sent.accepted.push((accepted.order_id, Timestamp::now()));
            }
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                sent.refusals.push(asked.elapsed());
                let retry_after = answer.headers().get(header::RETRY_AFTER);
                let retry_after = retry_after.and_then(|value| value.to_str().ok()).unwrap_or("none");
                *sent.retry_after.entry(retry_after.to_owned()).or_default() += 1;
            }
            Ok(answer) => *sent.others.entry(answer.status().to_string()).or_default() += 1,
            Err(error) => *sent.others.entry(error.to_string()).or_default() += 1,
        }
    }
    sent
}

/// How fast orders that waited were settled.
async fn drained_per_second(database: &mut PgConnection, orders: &[OrderId]) -> f64 {
    let rate = sqlx::query_scalar::<_, f64>(
        "SELECT (count(*) / extract(epoch FROM max(updated_at) - min(created_at)))::float8 FROM orders WHERE id = ANY($1)",
    );
    rate.bind(orders).fetch_one(database).await.expect("the database answers")
}

/// How fast orders were settled while more were sent, from some time after `began` on.
async fn settled_per_second(database: &mut PgConnection, began: Timestamp) -> f64 {
    let (from, to) = (began + WARM_UP, began + DURATION);
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM orders
         WHERE status <> 'PENDING_PAYMENT' AND updated_at BETWEEN $1 AND $2",
    );
    let count = count.bind(from).bind(to).fetch_one(database).await;
    let count = u32::try_from(count.expect("the database answers")).expect("a small number");
    f64::from(count) / DURATION.saturating_sub(WARM_UP).as_secs_f64()
}

#[derive(FromRow)]
struct SettledRow {
    id: OrderId,
    updated_at: Timestamp,
}

/// How long each order took from its acceptance to its last change. The services' clock is ours.
async fn settle_times(database: &mut PgConnection, accepted: &[(OrderId, Timestamp)]) -> Vec<Duration> {
    let ids: Vec<OrderId> = accepted.iter().map(|(id, _)| *id).collect();
    let rows = sqlx::query_as::<_, SettledRow>("SELECT id, updated_at FROM orders WHERE id = ANY($1)");
    let rows = rows.bind(ids).fetch_all(database).await.expect("the database answers");
    let settled: BTreeMap<OrderId, Timestamp> =
        rows.into_iter().map(|row| (row.id, row.updated_at)).collect();
    accepted
        .iter()
        .filter_map(|(id, at)| Some(settled.get(id)?.as_datetime() - at.as_datetime()))
        .map(|took| Duration::from_secs_f64(took.as_seconds_f64().max(0.0)))
        .collect()
}
