//! Groups of tasks that stop together, so that a service drains in the order in which its data flows.

use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::health::{Health, HealthPart};

/// Some tasks, and the token that tells them to stop.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    failure: Failure,
}

/// How many times longer than a look the pause after it is.
const PAUSE_PER_LOOK: u32 = 200;

/// The longest pause, however long the look took: a machine that is just starting may have been the reason.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The pause after a look that took so long: `usual`, or more, so that looks take little of the time.
pub(crate) fn pause_after(elapsed: Duration, usual: Duration) -> Duration {
    usual.max((elapsed * PAUSE_PER_LOOK).min(LONGEST_PAUSE))
}

/// What a long-running task has of its own.
#[derive(Clone)]
pub struct TaskContext {
    /// Its part of the service's health.
    pub health: HealthPart,
    /// Cancelled when it is to stop.
    pub stopping: CancellationToken,
}

impl TaskContext {
    /// Waits for `work`, but not longer than until the task is to stop; `None` if that comes first.
    pub async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            done = work => Some(done),
        }
    }
}

/// Raised when a task that must not end ended; the whole process drains then and exits with an error, so that its
/// supervisor starts it again.
#[derive(Clone, Default)]
pub(crate) struct Failure {
    raised: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

impl Failure {
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self { raised: Arc::default(), shutdown }
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.shutdown.cancel();
    }
}

impl Tasks {
    pub(crate) fn new(failure: Failure) -> Self {
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), failure }
    }

    /// Cancelled when the group is to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task that may end at any time; the group waits for it when it stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Runs a task that must go on until the group stops. If it panics or returns before, the service shuts down.
    pub fn spawn_essential(
        &self,
        name: impl Display + Send + 'static,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (stop, failure) = (self.stop.clone(), self.failure.clone());
        self.tracker.spawn(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            if outcome.is_err() || !stop.is_cancelled() {
                let how = if outcome.is_err() { "panicked" } else { "returned" };
                error!(task = %name, "an essential task {how}; the service shuts down");
                failure.raise();
            }
        });
    }

    /// Runs an essential task that reports its health under its name.
    pub fn spawn_monitored<F>(&self, name: &str, health: &Health, task: impl FnOnce(TaskContext) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let part = TaskContext { health: health.part(name), stopping: self.stopping() };
        self.spawn_essential(name.to_owned(), task(part));
    }

    /// Runs a task every `interval`, from now on until the group stops.
    pub fn spawn_every<F>(
        &self,
        interval: Duration,
        name: impl Display + Send + 'static,
        task: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        self.repeat(name, task, move |_| interval);
    }

    /// The same with longer pauses after what takes long, so that it takes little of the time.
    pub(crate) fn spawn_looks<F>(
        &self,
        usual: Duration,
        name: impl Display + Send + 'static,
        look: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        self.repeat(name, look, move |elapsed| pause_after(elapsed, usual));
    }

    /// Carries a task out again and again, each time after a pause that may depend on how long it took.
    fn repeat<F>(
        &self,
        name: impl Display + Send + 'static,
        mut task: impl FnMut() -> F + Send + 'static,
        pause: impl Fn(Duration) -> Duration + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let stop = self.stop.clone();
        self.spawn_essential(name, async move {
            while !stop.is_cancelled() {
                let started = Instant::now();
                task().await;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause(started.elapsed())) => {}
                }
            }
        });
    }

    /// Tells the tasks to stop and waits until all have ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// How many tasks have not ended yet.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }
}
