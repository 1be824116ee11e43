//! What a long outage of the broker leaves: a very long outbox. It empties by itself, in bounded memory, and new orders
//! don't wait for its end.

use std::time::{Duration, Instant};

use contracts::OrderStatus;
use contracts::topology::Service;
use paysaga::bench::usage;
use sqlx::PgConnection;
use tokio::time::sleep;

use super::scenario;
use crate::api::Api;
use crate::faults::launch::Plan;
use crate::faults::load::LoadPlan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;
use crate::service::ServiceProcess;

const ROWS: u32 = 1_000_000;

/// Most memory that a service may take, whatever waits.
const MOST_MEMORY: u64 = 300 << 20;

/// How long a new order may take meanwhile.
const MOST_TIME: Duration = Duration::from_secs(10);

/// How long emptying may take before it counts as stuck: two seconds a thousand rows.
const TIMEOUT_PER_ROW: Duration = Duration::from_millis(2);

/// Rows as the order service writes them, an hour old: each is another `OrderCreated` of one of the orders that had one
/// (an order that was cancelled before it was placed has none). Their ids rise with their age, as UUIDs of
/// version 7 do.
const FILL: &str = r#"
    INSERT INTO outbox (event_id, event_type, order_id, trace_context, body, created_at)
    SELECT event_id, 'OrderCreated', orders.id, '{}',
           format('{"eventType":"OrderCreated","eventId":"%s","occurredAt":"2026-01-02T03:04:05.678Z","payload":{"orderId":"%s","userId":"%s","total":%s}}',
                  event_id, orders.id, user_id, total),
           now() - interval '1 hour'
    FROM (SELECT number,
                 (lpad(to_hex((extract(epoch FROM now() - interval '1 hour') * 1000)::bigint + number / 1000), 12, '0')
                  || '7' || substr(md5(number::text), 1, 3) || '8' || substr(md5(number::text), 4, 15))::uuid AS event_id
          FROM generate_series(1, $1) AS number) AS events
    JOIN (SELECT id, user_id, total, row_number() OVER () - 1 AS number, count(*) OVER () AS count FROM orders
          WHERE EXISTS (SELECT FROM order_events WHERE order_id = orders.id AND event_type = 'OrderCreated')) AS orders
      ON orders.number = events.number % orders.count"#;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("an outbox of 1 000 000 rows after an outage", |rig| Box::pin(backlog(rig, ROWS)))]
}

async fn backlog(rig: &mut Rig<'_>, rows: u32) -> Outcome {
    // Without a line in the log for each of a million messages.
    let quiet = vec![("RUST_LOG", "warn".to_owned())];
    rig.start(&Plan { environment: quiet, ..Plan::default() }).await;
    let before = rig.load();
    before.wait_for_orders(200).await;
    let mut records = before.stop().await;
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await;

    let ids = rig.services.iter().map(ServiceProcess::id).collect::<Vec<_>>();
    rig.servers.rabbitmq().stop().await.expect("it stops");
    let mut order = rig.database(Service::Order).await.expect("the database answers");
    let filled = sqlx::query(FILL).bind(i64::from(rows)).execute(&mut order).await.expect("it can be filled");
    assert_eq!(filled.rows_affected(), u64::from(rows));
    rig.servers.rabbitmq().start().await.expect("it starts");
    rig.fault_is_over();

    let load = rig.load_of(LoadPlan { customers: 2, pause_ms: 1000, ..LoadPlan::default() });
    let api = rig.api();
    let seen = empties(rig, &api, &mut order, rows).await;
    drop(order);
    records.merge(load.stop().await);
    // Those that were placed here are not in the customers' records.
    records.placed.extend(seen.watched.iter().copied().map(crate::faults::load::Placed::new));
    let same = rig.services.iter().map(ServiceProcess::id).collect::<Vec<_>>() == ids;
    let mut outcome = rig.judge(records).await;
    outcome.violations.extend(seen.violation);
    let mebibytes = seen.memory >> 20;
    outcome
        .note(format!(
            "empty after {:.0} s ({:.0} rows a second); at most {mebibytes} MiB of memory in one service (bound {}); of {} new \
             orders the slowest was PAID after {:.1} s (bound {})",
            seen.time.as_secs_f64(),
            f64::from(rows) / seen.time.as_secs_f64(),
            MOST_MEMORY >> 20,
            seen.watched.len(),
            seen.slowest.as_secs_f64(),
            MOST_TIME.as_secs(),
        ))
        .expect(same, "a service was started again")
        .expect(seen.memory < MOST_MEMORY, format!("a service took {mebibytes} MiB"))
        .expect(seen.slowest < MOST_TIME, "new orders are not processed in time")
}

struct Observed {
    time: Duration,
    memory: u64,
    slowest: Duration,
    watched: Vec<contracts::OrderId>,
    violation: Option<String>,
}

/// Places an order a second and waits for its payment, until the outbox is empty.
async fn empties(rig: &mut Rig<'_>, api: &Api, order: &mut PgConnection, rows: u32) -> Observed {
    let started = Instant::now();
    let timeout = Duration::from_mins(1) + TIMEOUT_PER_ROW * rows;
    let mut seen = Observed {
        time: Duration::ZERO,
        memory: 0,
        slowest: Duration::ZERO,
        watched: Vec::new(),
        violation: None,
    };
    rig.first_of(Service::Gateway).ready().await;
    loop {
        let placed = Instant::now();
        let id = api.place("10.01").await;
        seen.watched.push(id);
        while api.order(id).await.is_none_or(|order| order.status != OrderStatus::Paid) {
            seen.memory = seen.memory.max(memory(rig));
            if placed.elapsed() > timeout {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        seen.slowest = seen.slowest.max(placed.elapsed());
        seen.memory = seen.memory.max(memory(rig));
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM outbox WHERE created_at < now() - interval '50 min'")
                .fetch_one(&mut *order)
                .await
                .expect("the database answers");
        seen.time = started.elapsed();
        if left == 0 {
            return seen;
        }
        if started.elapsed() > timeout {
            seen.violation = Some(format!("{left} rows are left after {} s", timeout.as_secs()));
            return seen;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The resident memory of the service that has most, in bytes.
fn memory(rig: &Rig<'_>) -> u64 {
    rig.services.iter().filter_map(|process| usage::memory(process.id()?)).max().unwrap_or_default()
}
