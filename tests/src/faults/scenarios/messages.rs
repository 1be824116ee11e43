//! Messages that arrive twice, ten times, again after everything has settled, or in any order.

use contracts::topology::Service;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::{also_short, scenario};
use crate::faults::interceptor::{Interceptor, Treatment};
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// The status of every order and payment, and when it changed last.
const STATUSES: [(Service, &str); 2] = [
    (Service::Order, "SELECT id, status || ' ' || updated_at FROM orders ORDER BY id"),
    (Service::Payment, "SELECT id, status || ' ' || updated_at FROM payments ORDER BY id"),
];

const ORDERS: u64 = 200;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        also_short(scenario("every message twice", |rig| Box::pin(repeated(rig, 1)))),
        scenario("every message ten times", |rig| Box::pin(repeated(rig, 9))),
        scenario("the whole history again, in order and shuffled", |rig| Box::pin(replayed(rig))),
        scenario("every message up to 2 s late, in any order", |rig| Box::pin(reordered(rig))),
    ]
}

async fn repeated(rig: &mut Rig<'_>, times: u32) -> Outcome {
    rig.start(&Plan::default()).await;
    let interceptor = Interceptor::start(&rig.broker_url(false), Treatment::Repeat(times), rig.seed).await;
    let load = rig.load();
    load.wait_for_orders(ORDERS).await;
    rig.fault_is_over();
    let records = load.stop().await;
    rig.wait_until_at_rest(&records, 0).await;
    interceptor.wait_until_idle().await;
    let published = interceptor.messages().len();
    rig.judge(records)
        .await
        .note(format!("{published} messages of the services, {} copies", published * times as usize))
}

async fn replayed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let interceptor = Interceptor::start(&rig.broker_url(false), Treatment::Record, rig.seed).await;
    let load = rig.load();
    load.wait_for_orders(ORDERS).await;
    let records = load.stop().await;
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await;
    interceptor.wait_until_idle().await;
    let before = statuses(rig).await;
    let mut history = interceptor.messages();
    interceptor.republish(&history).await;
    history.shuffle(&mut rig.random);
    interceptor.republish(&history).await;
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await;
    interceptor.wait_until_idle().await;
    let published = interceptor.messages().len();
    let outcome = rig.judge(records).await;
    let outcome = outcome.note(format!("{} messages, twice", history.len()));
    let outcome =
        outcome.expect(published == history.len(), "the services published something because of it");
    outcome.expect(statuses(rig).await == before, "an order or a payment changed because of it")
}

async fn reordered(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let interceptor = Interceptor::start(&rig.broker_url(false), Treatment::Shuffle, rig.seed).await;
    let load = rig.load();
    load.wait_for_orders(ORDERS).await;
    rig.fault_is_over();
    let records = load.stop().await;
    rig.wait_until_at_rest(&records, 0).await;
    interceptor.wait_until_idle().await;
    rig.judge(records).await
}

async fn statuses(rig: &mut Rig<'_>) -> Vec<Vec<(Uuid, String)>> {
    let mut statuses = Vec::new();
    for (service, query) in STATUSES {
        let mut database = rig.database(service).await.expect("the database answers");
        let rows = sqlx::query_as(query).fetch_all(&mut database).await;
        statuses.push(rows.expect("the database answers"));
    }
    statuses
}
