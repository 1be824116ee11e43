//! The causes of open failures, at hand when they are asked for: of a hundred thousand messages they are not counted within a request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::Timestamp;
use contracts::replay::FailureCauses;
use sqlx::PgPool;
use tracing::debug;

use super::store;
use crate::database::{StoreError, in_time};
use crate::tasks::Tasks;

/// The shortest pause between two counts.
const PAUSE: Duration = Duration::from_secs(1);

/// How many times longer than a count the pause after it is.
const PAUSES_PER_COUNT: u32 = 10;

/// The causes as they were counted last. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Causes {
    pool: PgPool,
    latest: Arc<Mutex<Option<FailureCauses>>>,
}

impl Causes {
    /// Counts on a pool of its own.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, latest: Arc::default() }
    }

    /// Counts again and again from now on.
    pub(super) fn start(self, tasks: &Tasks) {
        let stopping = tasks.stopping();
        tasks.spawn_essential("failure causes", async move {
            while !stopping.is_cancelled() {
                let started = Instant::now();
                if let Err(error) = in_time(self.count()).await {
                    debug!(%error, "the causes of failures can't be counted now");
                }
                let pause = PAUSE.max(started.elapsed() * PAUSES_PER_COUNT);
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// The causes as they were counted last; they are counted now if they never were.
    pub(super) async fn latest(&self) -> Result<FailureCauses, StoreError> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match latest {
            Some(latest) => Ok(latest),
            None => self.count().await,
        }
    }

    async fn count(&self) -> Result<FailureCauses, StoreError> {
        let at = Timestamp::now();
        let counted = FailureCauses { at, data: store::causes(&self.pool).await? };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted.clone());
        Ok(counted)
    }
}
