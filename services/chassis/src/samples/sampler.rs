//! Adds a sample to the service's table every ten seconds.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use contracts::overview::{MAX_SAMPLES, SAMPLE_SECONDS};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use crate::database::{FailureKind, StoreError, in_time};
use crate::tasks::Tasks;
use crate::{broker, failed_messages, outbox};

/// How long a sample stands for: from one multiple of it on the database's clock to the next.
const INTERVAL: Duration = Duration::from_secs(SAMPLE_SECONDS as u64);

/// How much later than the end of its ten seconds a sample is taken: clocks run at different speeds.
const LATER: Duration = Duration::from_millis(20);

/// How long a service that stops waits for its last sample to be stored.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// What a service counts, and how that is stored.
pub trait Counts: Send + Sync + Sized + 'static {
    /// What was counted since the last time.
    fn take() -> Self;

    /// Stores a sample, once, and deletes some that are older than an hour. Returns how many seconds are left of the ten that are
    /// under way; none if it was stored already.
    fn store(
        pool: &PgPool,
        sample: &Sample<Self>,
    ) -> impl Future<Output = Result<Option<f64>, StoreError>> + Send;
}

/// What a replica counted.
#[derive(Debug)]
pub struct Sample<C> {
    /// The replica, from its start to its end.
    pub replica: Uuid,
    /// How many samples it took before. With it, one whose storing was not answered is not stored twice.
    pub number: i64,
    /// How long ago the middle of its time was.
    pub ago: Duration,
    /// What was counted.
    pub counts: C,
    /// What waited at its end.
    pub waiting: WaitingThen,
}

/// What waited at the end of a sample, as far as that was measured.
#[derive(Clone, Copy, Debug)]
pub struct WaitingThen {
    /// Events in the outbox.
    pub outbox: Option<i64>,
    /// Messages in the queues that the service consumes.
    pub queued: Option<i64>,
    /// Failed messages that wait for a decision.
    pub failed_messages: Option<i64>,
}

impl WaitingThen {
    fn now() -> Self {
        let [outbox, queued, failed_messages] =
            [&outbox::DEPTH_NOW, &broker::QUEUED_NOW, &failed_messages::OPEN_NOW]
                .map(|latest| latest.get().and_then(|count| i64::try_from(count).ok()));
        Self { outbox, queued, failed_messages }
    }
}

/// Takes samples until the tasks stop, and then the last one. What can't be stored is stored later.
pub(crate) fn start<C: Counts>(pool: PgPool, tasks: &Tasks) {
    let sampler = Sampler::<C> { pool, replica: Uuid::new_v4(), taken: 0, waiting: VecDeque::new() };
    tasks.spawn_essential("samples", sampler.run(tasks.stopping()));
}

struct Sampler<C> {
    pool: PgPool,
    replica: Uuid,
    taken: i64,
    /// Samples that are not stored yet, with the middle of their time.
    waiting: VecDeque<(Instant, Sample<C>)>,
}

impl<C: Counts> Sampler<C> {
    async fn run(mut self, stopping: CancellationToken) {
        let mut since = Instant::now();
        // The first one is empty: from now on this replica is seen.
        while !stopping.is_cancelled() {
            since = self.take(since);
            let left = self.store_all().await.unwrap_or(INTERVAL);
            stopping.run_until_cancelled(tokio::time::sleep(left + LATER)).await;
        }
        self.take(since);
        tokio::time::timeout(LAST_TIMEOUT, self.store_all()).await.ok();
    }

    /// Takes what was counted since then. Returns until when.
    fn take(&mut self, since: Instant) -> Instant {
        let now = Instant::now();
        let (number, waiting) = (self.taken, WaitingThen::now());
        let sample =
            Sample { replica: self.replica, number, ago: Duration::ZERO, counts: C::take(), waiting };
        self.taken += 1;
        self.waiting.push_back((since + (now - since) / 2, sample));
        if self.waiting.len() > MAX_SAMPLES {
            self.waiting.pop_front();
        }
        now
    }

    /// Stores what is not stored yet, the oldest first. Returns how much is left of the ten seconds that are under way.
    async fn store_all(&mut self) -> Option<Duration> {
        let mut left = None;
        while let Some((middle, sample)) = self.waiting.front_mut() {
            // PostgreSQL's intervals have no nanoseconds.
            let ago = u64::try_from(middle.elapsed().as_millis()).unwrap_or(u64::MAX);
            sample.ago = Duration::from_millis(ago);
            match in_time(C::store(&self.pool, sample)).await {
                Ok(seconds) => left = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
                Err(error) if error.kind() == FailureKind::Permanent => {
                    error!(%error, "a sample for the overview can't be stored");
                }
                // The database's health reports why.
                Err(_) => break,
            }
            self.waiting.pop_front();
        }
        left
    }
}
