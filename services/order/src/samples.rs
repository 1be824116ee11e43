//! What becomes of orders in ten seconds, counted beside the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chassis::database::StoreError;
use chassis::samples::{Counts, LatencyCounts, Sample, taken};
use contracts::OrderStatus;
use sqlx::PgPool;

use crate::pending;
use crate::store::samples;

static PLACED: AtomicU64 = AtomicU64::new(0);
static PAID: AtomicU64 = AtomicU64::new(0);
static CANCELLED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static SETTLE_TIMES: LatencyCounts = LatencyCounts::new();

/// Counts orders that were placed.
pub(crate) fn placed(count: u64) {
    PLACED.fetch_add(count, Ordering::Relaxed);
}

/// Counts an order that came to this end.
pub(crate) fn ended(status: OrderStatus) {
    let counter = match status {
        OrderStatus::PendingPayment => return,
        OrderStatus::Paid => &PAID,
        OrderStatus::Cancelled => &CANCELLED,
        OrderStatus::Failed => &FAILED,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts how long an order took to settle.
pub(crate) fn settled_after(age: Duration) {
    SETTLE_TIMES.record(age);
}

/// What a sample has of orders.
#[derive(Debug)]
pub(crate) struct OrderCounts {
    pub(crate) placed: i64,
    pub(crate) paid: i64,
    pub(crate) cancelled: i64,
    pub(crate) failed: i64,
    pub(crate) settle_times: Vec<i64>,
    pub(crate) pending: Option<i64>,
}

impl Counts for OrderCounts {
    fn take() -> Self {
        let [placed, paid, cancelled, failed] = [&PLACED, &PAID, &CANCELLED, &FAILED].map(taken);
        let pending = pending::COUNT_NOW.get().and_then(|count| i64::try_from(count).ok());
        Self { placed, paid, cancelled, failed, settle_times: SETTLE_TIMES.take(), pending }
    }

    async fn store(pool: &PgPool, sample: &Sample<Self>) -> Result<Option<f64>, StoreError> {
        samples::insert(pool, sample).await
    }
}
