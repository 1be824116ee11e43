//! A backup runs: a snapshot is held on each database, as `pg_dump` does. Nothing that is deleted or superseded meanwhile can be
//! removed, and nothing may become slower for that.

use std::time::Duration;

use contracts::Timestamp;
use contracts::topology::Service;
use paysaga::bench::usage::cpu_of_tree;
use sqlx::{FromRow, PgConnection};
use tokio::time::{Instant, sleep_until};

use super::{only_short, scenario};
use crate::faults::calm::calm_seconds;
use crate::faults::launch::Plan;
use crate::faults::load::{Arrival, Load, LoadPlan};
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// How much worse the last window may be than the first.
const MOST: f64 = 1.5;

/// How many times longer than planned a window may be, to have as many calm seconds as planned.
const EXTENSION: u32 = 4;

/// The load and its measurement.
#[derive(Clone, Copy)]
struct Backup {
    held_for: Duration,
    /// How long the first and the last part of that are, which are compared.
    window: Duration,
    load: LoadPlan,
    /// Whether the comparison is judged: it needs a load and a time that are large enough.
    is_judged: bool,
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let long = Backup {
        held_for: Duration::from_mins(10),
        window: Duration::from_mins(1),
        // With those of the customers about 250 orders a second.
        load: LoadPlan { arrivals: 210, ..LoadPlan::default() },
        is_judged: true,
    };
    let short = Backup {
        held_for: Duration::from_secs(20),
        window: Duration::from_secs(5),
        load: LoadPlan { arrivals: 60, ..LoadPlan::default() },
        is_judged: false,
    };
    vec![
        scenario("PostgreSQL: a snapshot held for 10 min at 250 orders/s", move |rig| {
            Box::pin(backup(rig, long))
        }),
        only_short(scenario("PostgreSQL: a snapshot held for 20 s", move |rig| Box::pin(backup(rig, short)))),
    ]
}

/// A window of the load.
struct Window {
    orders: u64,
    seconds: f64,
    /// CPU time of the database server for each order, in milliseconds.
    cpu_ms: f64,
    /// When each of its calm seconds began.
    calm: Vec<Timestamp>,
}

async fn backup(rig: &mut Rig<'_>, Backup { held_for, window, load, is_judged }: Backup) -> Outcome {
    // Without a line in the log for each message; the provider takes no time that would hide what the database takes.
    let environment = vec![("RUST_LOG", "warn".to_owned()), ("PROVIDER_LATENCY_MS", "0".to_owned())];
    rig.start(&Plan { environment, ..Plan::default() }).await;
    let load = rig.load_of(load);
    // Connections, caches and plans are made.
    load.wait_for_orders(200).await;
    let mut snapshots = Vec::new();
    for service in Service::WITH_DATABASE {
        let mut database = rig.database(service).await.expect("the database answers");
        // A snapshot is taken by the first query.
        let held =
            sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM outbox");
        held.execute(&mut database).await.expect("a snapshot can be held");
        snapshots.push(database);
    }
    let end = Instant::now() + held_for;
    let first = watch(rig, &load, window).await;
    sleep_until(end - window).await;
    let last = watch(rig, &load, window).await;
    drop(snapshots);
    rig.fault_is_over();
    load.wait_for_orders(20).await;
    let records = load.stop().await;
    rig.wait_until_at_rest(&records, 0).await;
    let mut orders = rig.database(Service::Order).await.expect("the database answers");
    let early = settled(&mut orders, &first.calm, &records.arrivals).await;
    let late = settled(&mut orders, &last.calm, &records.arrivals).await;
    let (slower, costlier) = (late.median_p99 / early.median_p99, last.cpu_ms / first.cpu_ms);
    let rate = |window: &Window| float(window.orders) / window.seconds;
    let mut outcome = rig.judge(records).await.note(format!(
        "first and last {:.0} and {:.0} s, {} and {} of them without other virtual machines on its processors: {:.0} and {:.0} orders/s; \
         settle p99 of a second, median of those, {:.0} and {:.0} ms (× {slower:.2}, bound × {MOST}), of all of them {:.0} and {:.0} ms; \
         the database's CPU {:.2} and {:.2} ms an order (× {costlier:.2}, bound × {MOST})",
        first.seconds,
        last.seconds,
        first.calm.len(),
        last.calm.len(),
        rate(&first),
        rate(&last),
        early.median_p99,
        late.median_p99,
        early.p99,
        late.p99,
        first.cpu_ms,
        last.cpu_ms,
    ));
    if is_judged {
        let enough = u64::try_from(first.calm.len().min(last.calm.len())).unwrap_or(u64::MAX);
        outcome = outcome
            .expect(2 * enough >= window.as_secs(), "other virtual machines left too few seconds to compare")
            .expect(slower <= MOST, "orders settle later while a snapshot is held")
            .expect(costlier <= MOST, "an order costs more while a snapshot is held");
    }
    outcome
}

/// Watches the load until it has seen as many calm seconds as the window has, or for a few times as long.
async fn watch(rig: &mut Rig<'_>, load: &Load, window: Duration) -> Window {
    let (accepted, cpu, started) = (load.accepted(), database_cpu(rig), Instant::now());
    let wanted = usize::try_from(window.as_secs()).unwrap_or(usize::MAX);
    let calm = calm_seconds(wanted, window * EXTENSION).await;
    let (orders, seconds) = (load.accepted() - accepted, started.elapsed().as_secs_f64());
    let cpu_ms = (database_cpu(rig) - cpu) * 1000.0 / float(orders);
    Window { orders, seconds, cpu_ms, calm }
}

/// How long orders took from when they were due to their payment, in milliseconds: those that were due in these seconds, by
/// customers who came for them alone, and that the provider approves at once.
#[derive(FromRow)]
struct Settled {
    /// 99th percentile of all.
    p99: f64,
    /// Median of the seconds' 99th percentiles: a second that another virtual machine spoilt spoils nothing else.
    median_p99: f64,
}

async fn settled(orders: &mut PgConnection, calm: &[Timestamp], arrivals: &[Arrival]) -> Settled {
    let (ids, due): (Vec<_>, Vec<_>) = arrivals.iter().map(|arrival| (arrival.order, arrival.due)).unzip();
    let settled = sqlx::query_as::<_, Settled>(
        "WITH settled AS (
             SELECT began, extract(epoch FROM updated_at - due) * 1000 AS took
             FROM UNNEST($1::timestamptz[]) AS calm (began)
             JOIN UNNEST($2::uuid[], $3::timestamptz[]) AS arrival (id, due)
                  ON due >= began AND due < began + interval '1 s'
             JOIN orders USING (id)
             WHERE status = 'PAID' AND total % 1 = 0.01
         ), seconds AS (
             SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY took) AS p99 FROM settled GROUP BY began
         )
         SELECT coalesce((SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY took) FROM settled), 0)::float8 AS p99,
                coalesce((SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY p99) FROM seconds), 0)::float8 AS median_p99",
    );
    settled.bind(calm).bind(ids).bind(due).fetch_one(orders).await.expect("the database answers")
}

/// The CPU time that the database server has used so far, ended processes included, in seconds.
fn database_cpu(rig: &mut Rig<'_>) -> f64 {
    cpu_of_tree(rig.servers.postgres().id())
}

/// None of the numbers here is larger.
fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
