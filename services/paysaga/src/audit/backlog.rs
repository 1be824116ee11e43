//! Messages that wait or failed: outboxes, failed messages, queues.

use std::time::Duration;

use chassis::broker::{BrokerUrl, QueueDepth, queue_depths};
use contracts::EventType;
use contracts::topology::Service;
use sqlx::{FromRow, PgConnection};
use strum::VariantArray;

use super::report::{Finding, Report};

/// How many messages an outbox holds, how many of them only a newer version can publish, and for how many seconds the oldest of them has waited.
#[derive(FromRow)]
struct Outbox {
    depth: i64,
    newer: i64,
    age: f64,
}

/// Adds a service's outbox and failed messages to the report. Messages that are older than `grace` should have been
/// published.
pub(super) async fn add_database(
    connection: &mut PgConnection,
    service: Service,
    grace: Duration,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let Outbox { depth, newer, age } = sqlx::query_as::<_, Outbox>(
        "SELECT count(*) FILTER (WHERE event_type = ANY($1)) AS depth,
                count(*) FILTER (WHERE event_type <> ALL($1)) AS newer,
                coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE event_type = ANY($1))), 0)::float8
                    AS age
         FROM outbox",
    )
    .bind(EventType::VARIANTS.iter().map(<&str>::from).collect::<Vec<_>>())
    .fetch_one(&mut *connection)
    .await?;
    report.newer_rows += newer.unsigned_abs();
    *report.outbox.get_or_insert_default() += depth.unsigned_abs();
    // Negative if a clock was set back.
    let age = Duration::try_from_secs_f64(age).unwrap_or_default();
    if depth > 0 && age >= grace {
        let what = format!("{depth} messages in the outbox of {service}, the oldest for {} s", age.as_secs());
        report.findings.push(Finding::general("all-settled", what));
    }
    let failed = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM failed_messages WHERE status = 'FAILED'")
        .fetch_one(connection)
        .await?;
    report.add_failed_messages(service, failed.unsigned_abs());
    Ok(())
}

/// Adds the queues to the report. With no grace, a message in any of them is a finding.
pub async fn add_queues(url: &BrokerUrl, grace: Duration, report: &mut Report) -> Result<(), String> {
    let depths = queue_depths(url).await?;
    report.queued = Some(depths.iter().map(|queue| u64::from(queue.messages)).sum());
    for QueueDepth { name, is_dead_letters, messages } in depths {
        if messages > 0 && (grace.is_zero() || is_dead_letters) {
            let invariant = if is_dead_letters { "no-dead-letters" } else { "all-settled" };
            report.findings.push(Finding::general(invariant, format!("{messages} messages in {name}")));
        }
    }
    Ok(())
}
