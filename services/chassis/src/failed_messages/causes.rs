//! The causes of open failures, at hand when they are asked for: of a hundred thousand messages they are not counted within a request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::Timestamp;
use contracts::replay::FailureCauses;
use sqlx::PgPool;
use tracing::debug;

use super::store;
use crate::database::StoreError;
use crate::tasks::Tasks;

/// The pause between two counts: ten times as long as a count takes, but not out of these bounds.
const PAUSES_PER_COUNT: u32 = 10;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

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
            let again_and_again = async {
                loop {
                    let started = Instant::now();
                    if let Err(error) = self.count().await {
                        debug!(%error, "the causes of failures can't be counted now");
                    }
                    let pause = started.elapsed() * PAUSES_PER_COUNT;
                    tokio::time::sleep(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
                }
            };
            tokio::select! {
                () = stopping.cancelled() => {}
                () = again_and_again => {}
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
