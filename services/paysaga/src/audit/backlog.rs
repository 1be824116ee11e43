//! What is on its way or stuck: outboxes, failed messages, queues.

use std::time::Duration;

use chassis::broker::{BrokerUrl, QueueDepth, queue_depths};
use contracts::topology::Service;
use sqlx::{PgConnection, Row};

use super::report::{Finding, Report};

/// Adds a service's outbox and failed messages to the report. Messages that are older than `grace` should have left.
pub async fn look_at_database(
    connection: &mut PgConnection,
    service: Service,
    grace: Duration,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "SELECT count(*) AS depth, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age FROM outbox",
    )
    .fetch_one(&mut *connection)
    .await?;
    let depth = row.try_get::<i64, _>("depth")?.unsigned_abs();
    let age = Duration::try_from_secs_f64(row.try_get("age")?).unwrap_or_default();
    *report.outbox.get_or_insert_default() += depth;
    if depth > 0 && age >= grace {
        let what = format!("{depth} messages in the outbox of {service}, the oldest for {} s", age.as_secs());
        report.findings.push(Finding::general("all-settled", what));
    }
    let failed: i64 = sqlx::query_scalar("SELECT count(*) FROM failed_messages WHERE status = 'FAILED'")
        .fetch_one(connection)
        .await?;
    report.add_failed_messages(service, failed.unsigned_abs());
    Ok(())
}

/// Adds the queues to the report. With no grace, a message in any of them is a finding.
pub async fn look_at_queues(url: &BrokerUrl, grace: Duration, report: &mut Report) -> Result<(), String> {
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
