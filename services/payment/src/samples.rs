//! What the provider does in ten seconds, counted beside the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chassis::database::StoreError;
use chassis::samples::{Counts, LatencyCounts, Latest, Sample, taken};
use sqlx::PgPool;

use crate::store::samples;

static ANSWERED: AtomicU64 = AtomicU64::new(0);
static UNANSWERED: AtomicU64 = AtomicU64::new(0);
static ANSWER_TIMES: LatencyCounts = LatencyCounts::new();
static BREAKER_OPEN: AtomicBool = AtomicBool::new(false);

/// How many payments waited last for an answer that the provider did not give.
pub(crate) static UNKNOWN_NOW: Latest = Latest::new();

/// Counts a call that the provider answered.
pub(crate) fn answered(took: Duration) {
    ANSWERED.fetch_add(1, Ordering::Relaxed);
    ANSWER_TIMES.record(took);
}

/// Counts a call that it did not answer.
pub(crate) fn unanswered() {
    UNANSWERED.fetch_add(1, Ordering::Relaxed);
}

/// Notes whether the provider is not called because it does not answer.
pub(crate) fn breaker_is_open(open: bool) {
    BREAKER_OPEN.store(open, Ordering::Relaxed);
}

/// What a sample has of payments.
#[derive(Debug)]
pub(crate) struct PaymentCounts {
    pub(crate) answered: i64,
    pub(crate) unanswered: i64,
    pub(crate) answer_times: Vec<i64>,
    pub(crate) breaker_open: bool,
    pub(crate) unknown: Option<i64>,
}

impl Counts for PaymentCounts {
    fn take() -> Self {
        Self {
            answered: taken(&ANSWERED),
            unanswered: taken(&UNANSWERED),
            answer_times: ANSWER_TIMES.take(),
            breaker_open: BREAKER_OPEN.load(Ordering::Relaxed),
            unknown: UNKNOWN_NOW.get().and_then(|count| i64::try_from(count).ok()),
        }
    }

    async fn store(pool: &PgPool, sample: &Sample<Self>) -> Result<Option<f64>, StoreError> {
        samples::insert(pool, sample).await
    }
}
