//! The events of a queue, a batch at a time: from deliveries to triggers, and from their outcomes to acknowledgements.

use std::sync::LazyLock;
use std::time::Instant;

use contracts::topology::Queue;
use lapin::Channel;
use lapin::message::Delivery;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tracing::{Span, info, warn};

use super::acknowledgement::{ChannelLost, acknowledge_up_to, reject};
use super::received::read;
use super::{DeliveryHandler, Interrupted, Origin, Reason, Received, rejections};
use crate::aggregate::{Aggregate, Applier, Outcome, Stopping, Triggered};
use crate::broker::Publishers;
use crate::crash_here;
use crate::database::{self, IfHeldUp, RetryError, StoreError, retry};
use crate::failed_messages;
use crate::tasks::TaskContext;
use crate::telemetry::METER;

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("messaging.process.duration")
        .with_unit("s")
        .with_description("Time from taking a message to its acknowledgement.")
        .build()
});

static BATCH_SIZE: LazyLock<Histogram<u64>> = LazyLock::new(|| {
    METER
        .u64_histogram("paysaga.batch.size")
        .with_description("Messages that share one transaction.")
        .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0])
        .build()
});

static DEAD_LETTERED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.dead_lettered")
        .with_description("Messages that were rejected and dead-lettered.")
        .build()
});

fn count_dead_letter(queue: Queue, error_type: &'static str, count: u64) {
    DEAD_LETTERED
        .add(count, &[KeyValue::new("queue", queue.name()), KeyValue::new("error_type", error_type)]);
}

/// Makes the counter of a queue visible before there is something to count: what appears later has no rate at first.
pub(super) fn start_counting_dead_letters(queue: Queue) {
    for error_type in ["unreadable", "contract", "constraint", "panic"] {
        count_dead_letter(queue, error_type, 0);
    }
}

/// Applies the events of a queue.
pub(super) struct EventHandler<A: Aggregate> {
    pub(super) queue: Queue,
    pub(super) applier: Applier<A>,
    pub(super) publishers: Publishers,
}

impl<A: Aggregate> DeliveryHandler for EventHandler<A> {
    async fn ready(&self, task: &TaskContext) -> Result<(), Stopping> {
        database::answers(self.applier.pool(), task).await
    }

    async fn handle(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        task: &TaskContext,
    ) -> Result<(), Interrupted> {
        let started = Instant::now();
        let mut batch = Vec::with_capacity(deliveries.len());
        let mut triggers = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let origin = Origin::of(self.queue, &delivery);
            let Received { span, triggered } =
                read(self.applier.aggregate(), &self.publishers, &origin, &delivery.data);
            match triggered {
                Ok(triggered) => {
                    batch.push(delivery);
                    triggers.push(triggered);
                }
                Err(unreadable) => {
                    self.reject(channel, &delivery, &span, unreadable.into()).await?;
                }
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        crash_here!("after-delivery-before-commit");
        let aggregate = self.applier.aggregate();
        let reserved = aggregate.reserve(&mut triggers);
        let mut outcomes = self.applier.apply(&triggers, task).await?;
        crash_here!("after-commit-before-ack");
        aggregate.begin(outcomes.iter_mut().filter_map(Outcome::take_call).collect(), reserved);
        let mut last_applied = None;
        for ((delivery, Triggered { span, .. }), outcome) in batch.iter().zip(&triggers).zip(outcomes) {
            match outcome {
                Outcome::Applied { .. } => last_applied = Some(delivery),
                Outcome::Rejected(rejection) => {
                    self.reject(channel, delivery, span, rejection.into()).await?;
                }
                Outcome::Newer => match self.hold(delivery, span, task).await? {
                    Ok(()) => last_applied = Some(delivery),
                    Err(error) => {
                        let reason = Reason::new("constraint", error.to_string());
                        self.reject(channel, delivery, span, reason).await?;
                    }
                },
            }
        }
        if let Some(delivery) = last_applied {
            acknowledge_up_to(channel, delivery).await?;
        }
        self.measure(batch.len(), started);
        Ok(())
    }
}

impl<A: Aggregate> EventHandler<A> {
    /// Stores a message that only a newer version can apply, to be tried again from there. In the queue it would count as
    /// delivered too often after a while, and many of them would leave no room for others.
    async fn hold(
        &self,
        delivery: &Delivery,
        span: &Span,
        task: &TaskContext,
    ) -> Result<Result<(), StoreError>, Stopping> {
        let held =
            retry(task, IfHeldUp::Persist, || failed_messages::hold(&self.applier, self.queue, delivery));
        match held.await {
            Ok(()) => {
                span.in_scope(|| {
                    info!(queue = %self.queue, "event held: a newer version wrote its order's row");
                });
                Ok(Ok(()))
            }
            Err(RetryError::Stopping) => Err(Stopping),
            Err(RetryError::Failed(error)) => Ok(Err(error)),
        }
    }

    /// Sends a message to the dead-letter queue.
    async fn reject(
        &self,
        channel: &Channel,
        delivery: &Delivery,
        span: &Span,
        reason: Reason,
    ) -> Result<(), ChannelLost> {
        reason.mark(span);
        rejections::insert(self.applier.pool(), self.queue, delivery, &reason.text).await;
        reject(channel, delivery).await?;
        count_dead_letter(self.queue, reason.error_type, 1);
        span.in_scope(|| {
            warn!(
                queue = %self.queue,
                dead_letter_queue = self.queue.dead_letter_queue(),
                reason = reason.without_content(),
                "message rejected and dead-lettered"
            );
        });
        Ok(())
    }

    fn measure(&self, messages: usize, started: Instant) {
        let elapsed = started.elapsed().as_secs_f64();
        let labels = [
            KeyValue::new("messaging.system", "rabbitmq"),
            KeyValue::new("messaging.destination.name", self.queue.name()),
        ];
        let size = u64::try_from(messages).unwrap_or(u64::MAX);
        BATCH_SIZE.record(size, &[KeyValue::new("queue", self.queue.name())]);
        for _ in 0..messages {
            DURATION.record(elapsed, &labels);
        }
    }
}
