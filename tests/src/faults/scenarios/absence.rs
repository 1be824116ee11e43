//! The order service is away while payments are made. It hears of them when it is back, and none of them is late.

use std::time::{Duration, Instant};

use contracts::topology::Service;
use tokio::time::sleep_until;

use super::{also_short, place, scenario};
use crate::eventually;
use crate::faults::launch::Plan;
use crate::faults::load::CustomerRecords;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

const ORDERS: u32 = 300;

/// The order service is back when the deadline of each order has passed.
const SAGA_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![also_short(scenario(
        "the order service is away while 300 payments are approved, until they are overdue",
        |rig| Box::pin(away(rig)),
    ))]
}

async fn away(rig: &mut Rig<'_>) -> Outcome {
    let environment = vec![
        ("SAGA_TIMEOUT", "20s".to_owned()),
        ("PROVIDER_APPROVAL_RATE", "1".to_owned()),
        // Time to kill the order service before it hears of the first.
        ("PROVIDER_LATENCY_MS", "3000".to_owned()),
        ("PROVIDER_TIMEOUT", "8s".to_owned()),
        ("PROVIDER_CONCURRENCY", "400".to_owned()),
    ];
    rig.start(&Plan { environment, ..Plan::default() }).await;
    let records = CustomerRecords { placed: place(&rig.api(), ORDERS).await, ..CustomerRecords::default() };
    let placed = Instant::now();
    let mut payments = rig.database(Service::Payment).await.expect("the database answers");
    eventually("every payment is open", async || {
        let count =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM payments").fetch_one(&mut payments).await;
        let count = count.expect("the database answers");
        if count == i64::from(ORDERS) { Ok(()) } else { Err(format!("{count} are")) }
    })
    .await;
    rig.first_of(Service::Order).kill().await;
    eventually("every payment is decided", async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM payments WHERE status = 'PROCESSING'");
        let count = count.fetch_one(&mut payments).await.expect("the database answers");
        if count == 0 { Ok(()) } else { Err(format!("{count} are not")) }
    })
    .await;
    sleep_until((placed + SAGA_TIMEOUT).into()).await;
    let mut orders = rig.database(Service::Order).await.expect("the database answers");
    let pending = count(&mut orders, "PENDING_PAYMENT").await;
    rig.first_of(Service::Order).start_again().await;
    rig.fault_is_over();
    let outcome = rig.judge(records).await;
    let cancelled = count(&mut orders, "CANCELLED").await;
    outcome
        .note(format!("{pending} were pending when the service was back; {cancelled} were cancelled"))
        .expect(pending > 0, "the order service heard of every payment before it was killed")
        .expect(cancelled == 0, format!("{cancelled} paid orders were cancelled"))
}

async fn count(orders: &mut sqlx::PgConnection, status: &str) -> i64 {
    let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM orders WHERE status = $1");
    count.bind(status).fetch_one(orders).await.expect("the database answers")
}
