//! Handles failed messages again, in their turn.

use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use contracts::topology::Queue;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use strum::VariantArray;
use tracing::{Span, error, info, warn};

use super::store::{self, Ended, Taken, Turn};
use crate::aggregate::{Aggregate, Applier, Outcome, Stopping};
use crate::broker::Publishers;
use crate::consumer::{Origin, Reason, Received, read};
use crate::database::{IfHeldUp, RetryError, StoreError, retry};
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};
use crate::telemetry::METER;

/// How often messages whose turn has come are looked for; while there is always one, how often the other replays go on.
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
    /// It can't be applied before a newer version is back.
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
        let mut went_on = Instant::now();
        while !task.stopping.is_cancelled()
            && let Ok(pause) = self.pass(&task, &mut went_on).await
        {
            if let Some(pause) = pause {
                task.unless_stopping(tokio::time::sleep(pause)).await;
            }
        }
    }

    /// Handles the next message whose own turn has come, and the next of each replay. Returns how long to wait if there was
    /// nothing to do. `went_on` is when replays were last let go on.
    async fn pass(&self, task: &TaskContext, went_on: &mut Instant) -> Result<Option<Duration>, Stopping> {
        let pool = self.applier.pool();
        let mut pause = INTERVAL;
        let mut found = false;
        if let Some(turn) = self.stored(task, || store::take(pool)).await?.flatten() {
            self.handle(&turn, task).await?;
            found = true;
        }
        let unfinished = self.stored(task, || store::unfinished(pool)).await?.unwrap_or_default();
        for replay in unfinished.iter().filter(|replay| replay.is_running) {
            if replay.due_in > 0.0 {
                pause = pause.min(Duration::try_from_secs_f64(replay.due_in).unwrap_or(INTERVAL));
                continue;
            }
            match self.stored(task, || store::take_member(pool, replay.id)).await? {
                Some(Taken::Turn(turn)) => self.handle(&turn, task).await?,
                Some(Taken::Settled) => {}
                Some(Taken::Nothing) | None => continue,
            }
            found = true;
        }
        if !unfinished.is_empty() && (!found || went_on.elapsed() >= INTERVAL) {
            found |= self.go_on(task).await?;
            *went_on = Instant::now();
        }
        Ok((!found).then_some(pause))
    }

    /// Lets replays go on of whose wave nothing can be taken: to their next wave, or to their end. Returns whether any does.
    async fn go_on(&self, task: &TaskContext) -> Result<bool, Stopping> {
        let pool = self.applier.pool();
        let mut settled = false;
        for message in self.stored(task, || store::handled_by_others(pool)).await?.unwrap_or_default() {
            settled |= self.stored(task, || store::settle_one(pool, message)).await?.unwrap_or_default();
        }
        let gone_on = self.stored(task, || store::next_waves(pool)).await?.unwrap_or_default();
        let ended = self.stored(task, || store::end(pool)).await?.unwrap_or_default();
        for Ended { id, status } in &ended {
            info!(replay.id = %id, status, "replay ended");
        }
        Ok(settled || gone_on > 0 || !ended.is_empty())
    }

    /// Handles a message, and marks it.
    async fn handle(&self, turn: &Turn, task: &TaskContext) -> Result<(), Stopping> {
        let pool = self.applier.pool();
        let (replayed, span) = self.apply(turn, task).await?;
        REPLAYS.add(1, &[KeyValue::new("result", replayed.result())]);
        match replayed {
            Replayed::Applied => {
                span.in_scope(|| info!(failed_message.id = %turn.id, "failed message replayed"));
                self.stored(task, || store::mark_replayed(pool, turn)).await?;
            }
            Replayed::Failed(reason) => {
                reason.mark(&span);
                let told = reason.without_content();
                span.in_scope(
                    || warn!(failed_message.id = %turn.id, reason = told, "failed message failed again"),
                );
                self.stored(task, || store::mark_failed(pool, turn, &reason.text)).await?;
            }
            Replayed::NotYet => _ = self.stored(task, || store::put_off(pool, turn)).await?,
        }
        Ok(())
    }

    /// Reads or writes the tables of failed messages; `None` if that can't be done.
    async fn stored<T, F>(
        &self,
        task: &TaskContext,
        transaction: impl FnMut() -> F,
    ) -> Result<Option<T>, Stopping>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match retry(task, IfHeldUp::Persist, transaction).await {
            Ok(done) => Ok(Some(done)),
            Err(RetryError::Stopping) => Err(Stopping),
            Err(RetryError::Failed(error)) => {
                error!(%error, "the tables of failed messages can't be read or written");
                Ok(None)
            }
        }
    }

    /// Applies a message as its consumer would. Returns the span of its processing as well.
    async fn apply(&self, turn: &Turn, task: &TaskContext) -> Result<(Replayed, Span), Stopping> {
        let Some(queue) = Queue::VARIANTS.iter().copied().find(|queue| queue.name() == turn.queue) else {
            let reason = "this service no longer consumes its queue".to_owned();
            return Ok((Replayed::Failed(Reason::new("contract", reason)), Span::none()));
        };
        let origin = Origin {
            queue,
            exchange: turn.exchange.clone(),
            routing_key: turn.routing_key.clone(),
            user_id: turn.user_id.clone(),
            correlation_id: turn.correlation_id.clone(),
            trace: turn.trace_context.clone(),
            delivery: None,
        };
        let aggregate = self.applier.aggregate();
        let Received { span, triggered } = read(aggregate, &self.publishers, &origin, &turn.body);
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
