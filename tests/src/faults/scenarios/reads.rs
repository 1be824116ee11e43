//! Many expensive queries at once, while orders are placed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contracts::topology::Service;
use http::StatusCode;
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::scenario;
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Orders of years past.
const ORDERS: i32 = 200_000;

/// Whose they are.
const USER: &str = "00000000-0000-4000-8000-00000000aaaa";

/// Clients that read at the same time, each the next page as soon as it has one.
const READERS: usize = 64;

/// Orders for each of the two measurements.
const MEASURED: u64 = 100;

/// How much longer an order may take (p99) beside the readers than without them. Generous: they take the processor too, and
/// the provider's time alone varies by half a second.
const MOST_DIFFERENCE: f64 = 2.0;

const FILL: &str = "
    INSERT INTO orders (id, user_id, total, status, cancel_reason, trace_context, created_at)
    SELECT gen_random_uuid(), $2::uuid, 1, 'CANCELLED', 'USER_REQUESTED', '{}', now() - number * interval '1 minute'
    FROM generate_series(1, $1) AS number";

/// The 99th percentile of the time from an order's first row to its settlement, in seconds.
const SETTLE_P99: &str = "
    SELECT coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM updated_at - created_at)), 0)::float8
    FROM orders WHERE user_id <> $1::uuid AND status <> 'PENDING_PAYMENT' AND created_at >= $2::timestamptz";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("64 clients read the last pages of 200 000 orders", |rig| Box::pin(reads(rig)))]
}

async fn reads(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let mut database = rig.database(Service::Order).await.expect("the database answers");
    sqlx::query(FILL).bind(ORDERS).bind(USER).execute(&mut database).await.expect("it can be filled");

    let load = rig.load();
    let without = settle_p99(&load, &mut database).await;
    let urls = [Service::Gateway, Service::Order].map(|service| rig.first_of(service).url());
    let read = Arc::new(AtomicU64::new(0));
    let mut readers = readers(&urls, &read);
    let beside = settle_p99(&load, &mut database).await;
    readers.shutdown().await;
    rig.fault_is_over();
    let records = load.stop().await;
    // They were not placed by customers, and the judge would count them.
    let forgotten = sqlx::query("DELETE FROM orders WHERE user_id = $1::uuid").bind(USER);
    forgotten.execute(&mut database).await.expect("they can be deleted");
    drop(database);
    let outcome = rig.judge(records).await;
    outcome
        .note(format!(
            "settled within {without:.2} s (p99) without readers, {beside:.2} s beside them (bound {MOST_DIFFERENCE} s more); {} pages were read",
            read.load(Ordering::Relaxed)
        ))
        .expect(beside < without + MOST_DIFFERENCE, "orders wait for readers")
}

/// How long the next orders take.
async fn settle_p99(load: &crate::faults::load::Load, database: &mut PgConnection) -> f64 {
    let now = sqlx::query_scalar::<_, String>("SELECT now()::text");
    let begin = now.fetch_one(&mut *database).await.expect("the database answers");
    load.wait_for_orders(MEASURED).await;
    let p99 = sqlx::query_scalar::<_, f64>(SETTLE_P99).bind(USER).bind(begin);
    p99.fetch_one(database).await.expect("the database answers")
}

/// Half of them read through the gateway, half past it.
fn readers(urls: &[String; 2], read: &Arc<AtomicU64>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let path = if number % 2 == 0 { "/api/orders" } else { "/orders" };
        let page = ORDERS as usize / 100 - number;
        let url = format!("{}{path}?page={page}&limit=100", urls[number % 2]);
        let read = Arc::clone(read);
        readers.spawn(async move {
            let client = reqwest::Client::new();
            loop {
                match client.get(&url).send().await {
                    Ok(response) if response.status() == StatusCode::OK => {
                        response.bytes().await.ok();
                        read.fetch_add(1, Ordering::Relaxed);
                    }
                    _ => sleep(Duration::from_millis(100)).await,
                }
            }
        });
    }
    readers
}
