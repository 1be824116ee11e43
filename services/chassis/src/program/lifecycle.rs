//! From the start of a service to its orderly end.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{Environment, Problems};
use crate::crash_here;
use crate::health::Health;
use crate::tasks::{Failure, Tasks};

crate::variables! {
    /// How a service ends.
    pub struct LifecycleVariables {
        /// How long a service that is told to stop still answers while `/health/ready` already says no, so that load balancers notice.
        drain_grace = "500ms",
        /// How long a service that is told to stop may take to finish its work; then it exits in spite of it.
        shutdown_timeout = "10s",
    }
}

/// How a service ends.
pub(super) struct LifecycleConfig {
    drain_grace: Duration,
    shutdown_timeout: Duration,
}

impl LifecycleConfig {
    pub(super) fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: LifecycleVariables = environment.read(problems)?;
        let drain_grace = variables.drain_grace().duration(problems);
        let shutdown_timeout = variables.shutdown_timeout().duration(problems);
        Some(Self { drain_grace: drain_grace?, shutdown_timeout: shutdown_timeout? })
    }
}

/// What a service is started with.
#[derive(Clone)]
pub struct Lifecycle {
    /// Whether the service can do its work.
    pub health: Health,
    /// Takes work in: HTTP, consumers, timers. Stops first.
    pub intake: Tasks,
    /// Finishes work that was taken in.
    pub work: Tasks,
    /// Sends what the work came to: the outbox.
    pub delivery: Tasks,
    /// Holds the connections that everything else needs. Stops last.
    pub connections: Tasks,
    /// Cancelled when the service is told to stop.
    pub shutdown: CancellationToken,
    /// Bring the database schema up to date and end.
    pub migrate_only: bool,
    failure: Failure,
}

impl Lifecycle {
    /// The beginning. From now on SIGTERM and SIGINT tell the service to stop.
    pub(super) fn begin(migrate_only: bool) -> Self {
        let shutdown = CancellationToken::new();
        let failure = Failure::new(shutdown.clone());
        let group = || Tasks::new(failure.clone());
        group().spawn(shut_down_on_signal(shutdown.clone()));
        Self {
            health: Health::default(),
            intake: group(),
            work: group(),
            delivery: group(),
            connections: group(),
            shutdown,
            migrate_only,
            failure,
        }
    }

    /// Waits until the service is told to stop, then stops its tasks in the order in which work flows through them.
    /// Returns whether all was well: no essential task failed, and everything was finished in time.
    pub(super) async fn end(&self, config: &LifecycleConfig) -> bool {
        self.shutdown.cancelled().await;
        self.drain(config).await && !self.failure.is_raised()
    }

    async fn drain(&self, config: &LifecycleConfig) -> bool {
        let started = Instant::now();
        self.health.drain();
        info!("shutting down");
        crash_here!("during-drain");
        let groups = [&self.intake, &self.work, &self.delivery, &self.connections];
        let stop_all = async {
            tokio::time::sleep(config.drain_grace).await;
            for group in groups {
                group.stop().await;
            }
        };
        let in_time = tokio::time::timeout(config.shutdown_timeout, stop_all).await.is_ok();
        if in_time {
            info!(elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "shut down");
        } else {
            let running: usize = groups.iter().map(|group| group.running()).sum();
            warn!(
                running,
                "the shutdown deadline passed; unfinished work is taken up by another replica or at the next start"
            );
        }
        in_time
    }
}

async fn shut_down_on_signal(shutdown: CancellationToken) {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => error!(%error, "signals can't be received"),
    }
    shutdown.cancel();
}
