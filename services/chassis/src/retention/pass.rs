//! One walk over what is old, a batch at a time.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Policy, records};
use crate::database::{StoreError, in_time};

/// Rows looked at in one transaction: some milliseconds of work.
const BATCH: i64 = 500;

/// The shortest pause between two batches.
const PAUSE: Duration = Duration::from_millis(20);

/// How many times longer than a batch the pause after it is: pruning takes a fifth of a connection's time at most, and less
/// of a database that is busy.
const PAUSES_PER_BATCH: u32 = 4;

/// Whether anything is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What may go is deleted.
    Delete,
    /// What may go is counted.
    DryRun,
}

/// Walks over records from the oldest to those that are to be kept; returns how many rows went, or would go. Ends early when
/// `stopping` is cancelled.
///
/// One batch is deleted at a time, whatever the number of replicas.
pub async fn pass(
    pool: &PgPool,
    policy: Policy,
    mode: Mode,
    stopping: &CancellationToken,
) -> Result<u64, StoreError> {
    let mut after = OffsetDateTime::UNIX_EPOCH;
    let mut rows = 0;
    while !stopping.is_cancelled() {
        let started = Instant::now();
        if let Some(batch) = in_time(batch(pool, policy, mode, after)).await? {
            rows += batch.rows.unsigned_abs();
            let Some(last) = batch.last else { break };
            after = last;
        }
        let pause = PAUSE.max(started.elapsed() * PAUSES_PER_BATCH);
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(rows)
}

/// The next batch; `None` while another process is at one.
async fn batch(
    pool: &PgPool,
    policy: Policy,
    mode: Mode,
    after: OffsetDateTime,
) -> Result<Option<records::Batch>, StoreError> {
    let mut transaction = pool.begin().await?;
    let alone = sqlx::query_scalar::<_, bool>(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('paysaga retention', 0))",
    );
    if !alone.fetch_one(&mut *transaction).await? {
        return Ok(None);
    }
    let range = records::Range { keep: policy.keep, after, limit: BATCH };
    let batch = policy.records.prune(&mut transaction, range, mode == Mode::Delete).await?;
    transaction.commit().await?;
    Ok(Some(batch))
}
