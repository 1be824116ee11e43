//! The causes of open failures, at hand when they are asked for: of a hundred thousand messages they are not counted within a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::Timestamp;
use contracts::replay::FailureCauses;
use sqlx::PgPool;
use tokio::sync::watch;
use tracing::debug;

use super::store;
use crate::database::StoreError;
use crate::tasks::Tasks;

/// For how long after they were asked for they are counted again and again.
const ASKED_LATELY: Duration = Duration::from_mins(1);

/// The pause between two counts: ten times as long as a count took, and not shorter than this.
const PAUSES_PER_COUNT: u32 = 10;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Longer than PostgreSQL lets the two statements of a count take: a database host that vanished is not waited for.
const LONGEST_COUNT: Duration = Duration::from_secs(130);

/// How long the first to ask waits: less than the gateway's `REQUEST_TIMEOUT` of 5 s.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The causes as they were counted last. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Causes {
    pool: PgPool,
    /// When they were asked for last.
    asked: Arc<watch::Sender<Option<Instant>>>,
    /// None while they are not counted.
    latest: Arc<watch::Sender<Option<FailureCauses>>>,
}

impl Causes {
    /// Counts on a pool of its own.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, asked: Arc::default(), latest: Arc::default() }
    }

    /// Counts again and again from now on, as long as they are asked for.
    pub(super) fn start(self, tasks: &Tasks) {
        let stopping = tasks.stopping();
        tasks.spawn_essential("failure causes", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.count_while_asked() => {}
            }
        });
    }

    async fn count_while_asked(&self) {
        let is_lately = |asked: &Option<Instant>| asked.is_some_and(|asked| asked.elapsed() < ASKED_LATELY);
        let mut asked = self.asked.subscribe();
        loop {
            if !is_lately(&asked.borrow()) {
                // The next to ask waits for a new count.
                self.latest.send_replace(None);
            }
            if asked.wait_for(is_lately).await.is_err() {
                return;
            }
            let started = Instant::now();
            match self.count().await {
                Ok(counted) => _ = self.latest.send_replace(Some(counted)),
                Err(error) => debug!(%error, "the causes of failures can't be counted now"),
            }
            tokio::time::sleep(SHORTEST_PAUSE.max(started.elapsed() * PAUSES_PER_COUNT)).await;
        }
    }

    /// The causes as they were counted last. The first to ask after a time waits for the count, but not without end.
    pub(super) async fn latest(&self) -> Result<FailureCauses, StoreError> {
        self.asked.send_replace(Some(Instant::now()));
        let mut latest = self.latest.subscribe();
        let counted = tokio::time::timeout(LONGEST_WAIT, latest.wait_for(Option::is_some)).await;
        counted.ok().and_then(|latest| latest.ok()?.clone()).ok_or(StoreError::Timeout)
    }

    async fn count(&self) -> Result<FailureCauses, StoreError> {
        let at = Timestamp::now();
        let counted = tokio::time::timeout(LONGEST_COUNT, store::causes(&self.pool)).await;
        Ok(FailureCauses { at, data: counted.unwrap_or(Err(StoreError::Timeout))? })
    }
}
