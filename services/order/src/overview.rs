//! `GET /overview`: how the orders are doing. Only the gateway asks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::http::{self, Recent, Request, Response, Routes, route};
use chassis::overview::WaitingNow;
use chassis::samples::Latencies;
use contracts::Problem;
use contracts::overview::{OrderOverview, OrderSample};

use crate::store::orders;
use crate::store::samples::{self, Row};

/// The route. `timeout` is how long an order may wait for the result of its payment.
pub(crate) fn routes(connections: Connections, waiting: WaitingNow, timeout: Duration) -> Routes {
    let reads = Arc::new(Reads { connections, waiting, timeout, last: Recent::default() });
    Routes::new(reads, [route(Method::GET, "/overview", find)])
}

struct Reads {
    connections: Connections,
    waiting: WaitingNow,
    timeout: Duration,
    last: Recent<Arc<OrderOverview>>,
}

async fn find(reads: Arc<Reads>, _: Request) -> Result<Response, Problem> {
    let overview = reads.last.get(reads.read()).await?;
    Ok(http::json(StatusCode::OK, &*overview))
}

impl Reads {
    async fn read(&self) -> Result<Arc<OrderOverview>, StoreError> {
        let rows = samples::of_last_hour(&self.connections).await?;
        let recent: HashSet<_> = rows.iter().filter(|row| row.is_recent).map(|row| row.replica).collect();
        let replicas = u32::try_from(recent.len()).unwrap_or(u32::MAX);
        let waiting = self.waiting.read(&self.connections, replicas).await?;
        let standing = orders::standing(&self.connections, self.timeout).await?;
        Ok(Arc::new(OrderOverview {
            waiting,
            pending: standing.pending.unsigned_abs(),
            oldest_pending: standing.oldest_pending.map(Into::into),
            overdue: standing.overdue.unsigned_abs(),
            samples: add_up(&rows),
        }))
    }
}

/// The samples of all replicas, which are in the order of their times.
fn add_up(rows: &[Row]) -> Vec<OrderSample> {
    rows.chunk_by(|one, next| one.at == next.at).filter_map(sum).collect()
}

/// The sum of what replicas counted in the same ten seconds.
fn sum(rows: &[Row]) -> Option<OrderSample> {
    let total = |count: fn(&Row) -> i64| rows.iter().map(count).sum::<i64>().unsigned_abs();
    let mut times = Latencies::default();
    for row in rows {
        times.add(&row.settle_times);
    }
    Some(OrderSample {
        at: rows.first()?.at.into(),
        placed: total(|row| row.placed),
        paid: total(|row| row.paid),
        cancelled: total(|row| row.cancelled),
        failed: total(|row| row.failed),
        settle_p50_ms: times.percentile(50),
        settle_p99_ms: times.percentile(99),
        pending: greatest(rows, |row| row.pending),
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
    use sqlx::types::Uuid;
    use sqlx::types::time::OffsetDateTime;

    use super::*;

    fn row(seconds: u64, paid: i64, pending: Option<i64>) -> Row {
        Row {
            replica: Uuid::new_v4(),
            at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds),
            is_recent: false,
            placed: 2 * paid,
            paid,
            cancelled: 0,
            failed: 0,
            settle_times: vec![0, 0, paid],
            pending,
            outbox: None,
            queued: Some(0),
            failed_messages: Some(3),
        }
    }

    #[test]
    fn what_replicas_counted_adds_up_and_what_all_of_them_see_does_not() {
        let samples = add_up(&[row(10, 1, None), row(10, 2, Some(7)), row(10, 3, Some(5)), row(30, 4, None)]);
        let [first, second] = &samples[..] else { panic!("{samples:?}") };
        assert_eq!((first.placed, first.paid, first.settled()), (12, 6, 6));
        assert_eq!((first.pending, first.outbox, first.failed_messages), (Some(7), None, Some(3)));
        assert_eq!((first.settle_p50_ms, first.settle_p99_ms), (Some(2), Some(2)));
        assert_eq!((second.at.to_string().as_str(), second.paid), ("1970-01-01T00:00:30.000Z", 4));
        assert_eq!(second.pending, None, "what was not measured is not 0");
    }
}
