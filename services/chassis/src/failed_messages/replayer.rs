//! Handles failed messages again, in their turn.

use std::sync::LazyLock;
use std::time::Duration;

use contracts::topology::Queue;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use strum::VariantArray;
use tracing::{Span, error, info, warn};

use super::store::{self, Replay};
use crate::aggregate::{Aggregate, Applier, Outcome, Stopping};
use crate::broker::Publishers;
use crate::consumer::{Origin, Reason, Received, read};
use crate::database::{IfHeldUp, RetryError, retry};
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};
use crate::telemetry::METER;

/// How often messages whose turn has come are looked for.
const INTERVAL: Duration = Duration::from_millis(500);

static REPLAYS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.replays")
        .with_description("Failed messages that were handled again, by what became of them.")
        .build()
});

/// Replays what is due.
pub(super) struct Replayer<A: Aggregate> {
    pub(super) applier: Applier<A>,
    pub(super) publishers: Publishers,
}

/// What became of a message.
enum Replayed {
    Applied,
    /// It failed again, and why.
    Failed(Reason),
    /// It can't be applied before a newer version is back. Its lease is the pause until then.
    NotYet,
}

impl Replayed {
    const fn result(&self) -> &'static str {
        match self {
            Self::Applied => "handled",
            Self::Failed(_) => "failed",
            Self::NotYet => "held",
        }
    }
}

impl<A: Aggregate> Replayer<A> {
    pub(super) fn start(self, health: &Health, tasks: &Tasks) {
        // What appears later has no rate at first.
        for result in ["handled", "failed", "held"] {
            REPLAYS.add(0, &[KeyValue::new("result", result)]);
        }
        tasks.spawn_monitored("replayer", health, |task| self.run(task));
    }

    async fn run(self, task: TaskContext) {
        task.health.up();
        while let Ok(found) = self.replay_next(&task).await {
            if !found && task.unless_stopping(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    /// Handles the next message whose turn has come, and marks it. Returns whether there was one.
    async fn replay_next(&self, task: &TaskContext) -> Result<bool, Stopping> {
        let pool = self.applier.pool();
        let Some(replay) =
            stored(retry(task, IfHeldUp::Persist, || store::take_replay(pool)).await)?.flatten()
        else {
            return Ok(false);
        };
        let (replayed, span) = self.apply(&replay, task).await?;
        REPLAYS.add(1, &[KeyValue::new("result", replayed.result())]);
        let marked = match replayed {
            Replayed::Applied => {
                span.in_scope(|| info!(failed_message.id = %replay.id, "failed message replayed"));
                retry(task, IfHeldUp::Persist, || store::mark_replayed(pool, &replay)).await
            }
            Replayed::Failed(reason) => {
                reason.mark(&span);
                let told = reason.without_content();
                span.in_scope(
                    || warn!(failed_message.id = %replay.id, reason = told, "failed message failed again"),
                );
                retry(task, IfHeldUp::Persist, || store::mark_failed(pool, &replay, &reason.text)).await
            }
            Replayed::NotYet => return Ok(true),
        };
        stored(marked)?;
        Ok(true)
    }

    /// Applies a message as its consumer would. Returns the span of its processing as well.
    async fn apply(&self, replay: &Replay, task: &TaskContext) -> Result<(Replayed, Span), Stopping> {
        let Some(queue) = Queue::VARIANTS.iter().copied().find(|queue| queue.name() == replay.queue) else {
            let reason = "this service no longer consumes its queue".to_owned();
            return Ok((Replayed::Failed(Reason::new("contract", reason)), Span::none()));
        };
        let origin = Origin {
            queue,
            exchange: replay.exchange.clone(),
            routing_key: replay.routing_key.clone(),
            user_id: replay.user_id.clone(),
            correlation_id: replay.correlation_id.clone(),
            trace: replay.trace_context.clone(),
            delivery: None,
        };
        let aggregate = self.applier.aggregate();
        let Received { span, triggered } = read(aggregate, &self.publishers, &origin, &replay.body);
        let triggered = match triggered {
            Ok(triggered) => triggered,
            Err(unreadable) => return Ok((Replayed::Failed(unreadable.into()), span)),
        };
        let outcomes = self.applier.apply(&[triggered], task).await?;
        let replayed = match outcomes.into_iter().next() {
            Some(Outcome::Rejected(rejection)) => Replayed::Failed(rejection.into()),
            Some(Outcome::Newer) => Replayed::NotYet,
            Some(Outcome::Applied { .. }) | None => Replayed::Applied,
        };
        Ok((replayed, span))
    }
}

/// What was read or written; `None` if that can't be done.
fn stored<T>(result: Result<T, RetryError>) -> Result<Option<T>, Stopping> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(RetryError::Stopping) => Err(Stopping),
        Err(RetryError::Failed(error)) => {
            error!(%error, "the table of failed messages can't be read or written");
            Ok(None)
        }
    }
}
