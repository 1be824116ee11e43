//! `GET /overview`: how the payments and their provider are doing. Only the gateway asks.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::http::{self, Recent, Request, Response, Routes, route};
use chassis::overview::WaitingNow;
use chassis::samples::Latencies;
use contracts::Problem;
use contracts::overview::{PaymentOverview, PaymentSample};

use crate::store::payments;
use crate::store::samples::{self, Row};

/// The route.
pub(crate) fn routes(connections: Connections, waiting: WaitingNow) -> Routes {
    let reads = Arc::new(Reads { connections, waiting, last: Recent::default() });
    Routes::new(reads, [route(Method::GET, "/overview", find)])
}

struct Reads {
    connections: Connections,
    waiting: WaitingNow,
    last: Recent<Arc<PaymentOverview>>,
}

async fn find(reads: Arc<Reads>, _: Request) -> Result<Response, Problem> {
    let overview = reads.last.get(reads.read()).await?;
    Ok(http::json(StatusCode::OK, &*overview))
}

impl Reads {
    async fn read(&self) -> Result<Arc<PaymentOverview>, StoreError> {
        let rows = samples::of_last_hour(&self.connections).await?;
        let breakers = last_breakers(&rows);
        let replicas = u32::try_from(breakers.len()).unwrap_or(u32::MAX);
        let open = breakers.iter().filter(|is_open| **is_open).count();
        let waiting = self.waiting.read(&self.connections, replicas).await?;
        let standing = payments::standing(&self.connections).await?;
        Ok(Arc::new(PaymentOverview {
            waiting,
            breakers_open: (replicas > 0).then(|| u32::try_from(open).unwrap_or(u32::MAX)),
            unknown: standing.unknown.unsigned_abs(),
            due: standing.due.unsigned_abs(),
            refused_refunds: standing.refused_refunds.unsigned_abs(),
            samples: add_up(&rows),
        }))
    }
}

/// Whether the breaker of each replica was open when it added its last sample. Rows are in the order of their times.
fn last_breakers(rows: &[Row]) -> Vec<bool> {
    let recent = rows.iter().filter(|row| row.is_recent);
    let last: HashMap<_, _> = recent.map(|row| (row.replica, row.breaker_open)).collect();
    last.into_values().collect()
}

/// The samples of all replicas, which are in the order of their times.
fn add_up(rows: &[Row]) -> Vec<PaymentSample> {
    rows.chunk_by(|one, next| one.at == next.at).filter_map(sum).collect()
}

/// The sum of what replicas counted in the same ten seconds.
fn sum(rows: &[Row]) -> Option<PaymentSample> {
    let total = |count: fn(&Row) -> i64| rows.iter().map(count).sum::<i64>().unsigned_abs();
    let mut times = Latencies::default();
    for row in rows {
        times.add(&row.answer_times);
    }
    Some(PaymentSample {
        at: rows.first()?.at.into(),
        answered: total(|row| row.answered),
        unanswered: total(|row| row.unanswered),
        provider_p50_ms: times.percentile(50),
        provider_p99_ms: times.percentile(99),
        unknown: greatest(rows, |row| row.unknown),
        outbox: greatest(rows, |row| row.outbox),
        queued: greatest(rows, |row| row.queued),
        failed_messages: greatest(rows, |row| row.failed_messages),
    })
}

/// What all replicas see: the greatest of what was measured.
fn greatest(rows: &[Row], measure: fn(&Row) -> Option<i64>) -> Option<u64> {
    rows.iter().filter_map(measure).max().map(i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::types::Uuid;
    use sqlx::types::time::OffsetDateTime;

    use super::*;

    fn row(replica: u128, seconds: u64, breaker_open: bool) -> Row {
        Row {
            replica: Uuid::from_u128(replica),
            at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds),
            is_recent: seconds >= 20,
            answered: 2,
            unanswered: 1,
            answer_times: vec![0, 1, 1],
            breaker_open,
            unknown: None,
            outbox: Some(4),
            queued: Some(0),
            failed_messages: Some(0),
        }
    }

    #[test]
    fn the_last_sample_of_a_replica_says_whether_its_breaker_is_open() {
        let rows = [row(1, 10, true), row(2, 20, true), row(3, 20, true), row(3, 30, false)];
        let mut open = last_breakers(&rows);
        open.sort_unstable();
        assert_eq!(open, [false, true], "the first replica has not been seen for too long");
    }

    #[test]
    fn what_replicas_counted_adds_up() {
        let samples = add_up(&[row(1, 10, false), row(2, 10, false), row(1, 20, false)]);
        let counted: Vec<_> = samples.iter().map(|sample| (sample.answered, sample.unanswered)).collect();
        assert_eq!(counted, [(4, 2), (2, 1)]);
        assert_eq!((samples[0].provider_p50_ms, samples[0].provider_p99_ms), (Some(1), Some(2)));
        assert_eq!((samples[0].outbox, samples[0].unknown), (Some(4), None));
    }
}
