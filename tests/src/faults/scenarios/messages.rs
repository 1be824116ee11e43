//! Messages that come twice, ten times, again after all is over, or in any order.

use contracts::topology::Service;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::{also_short, scenario};
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;
use crate::faults::wire::{Habit, Wire};

/// Where everything stands, and when it came there.
const STANDING: [(Service, &str); 2] = [
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
    let wire = Wire::start(&rig.broker_url(false), Habit::Repeat(times), rig.seed).await;
    let load = rig.load();
    load.more(ORDERS).await;
    rig.fault_is_over();
    let book = load.stop().await;
    rig.rests(&book, 0).await;
    wire.quiet().await;
    let said = wire.history().len();
    rig.judge(book).await.note(format!("{said} messages of the services, {} copies", said * times as usize))
}

async fn replayed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let wire = Wire::start(&rig.broker_url(false), Habit::Keep, rig.seed).await;
    let load = rig.load();
    load.more(ORDERS).await;
    let book = load.stop().await;
    rig.fault_is_over();
    rig.rests(&book, 0).await;
    wire.quiet().await;
    let before = standing(rig).await;
    let mut history = wire.history();
    wire.say_again(&history).await;
    history.shuffle(&mut rig.random);
    wire.say_again(&history).await;
    rig.fault_is_over();
    rig.rests(&book, 0).await;
    wire.quiet().await;
    let said = wire.history().len();
    let outcome = rig.judge(book).await;
    let outcome = outcome.note(format!("{} messages, twice", history.len()));
    let outcome = outcome.expect(said == history.len(), "something was said because of it");
    outcome.expect(standing(rig).await == before, "an order or a payment changed because of it")
}

async fn reordered(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let wire = Wire::start(&rig.broker_url(false), Habit::Shuffle, rig.seed).await;
    let load = rig.load();
    load.more(ORDERS).await;
    rig.fault_is_over();
    let book = load.stop().await;
    rig.rests(&book, 0).await;
    wire.quiet().await;
    rig.judge(book).await
}

async fn standing(rig: &mut Rig<'_>) -> Vec<Vec<(Uuid, String)>> {
    let mut standing = Vec::new();
    for (service, query) in STANDING {
        let mut database = rig.database(service).await.expect("the database answers");
        let rows = sqlx::query_as(query).fetch_all(&mut database).await;
        standing.push(rows.expect("the database answers"));
    }
    standing
}
