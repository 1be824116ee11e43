//! Events of a queue, handled a batch at a time: from deliveries to acknowledgements.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use contracts::topology::Queue;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, info_span, warn};

use super::{Handler, Origin, Process, Received, Unsettled, Verdict, rejection, settle};
use crate::crash_here;
use crate::health::HealthPart;
use crate::outbox::{GaveUp, Outbox, UnitOfWork, Work};
use crate::telemetry::METER;

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("messaging.process.duration")
        .with_unit("s")
        .with_description("Time from taking a message to its acknowledgement.")
        .build()
});

/// Handles the events of a queue.
pub(super) struct Events<H> {
    pub(super) queue: Queue,
    pub(super) handler: Arc<H>,
    pub(super) outbox: Outbox,
}

/// A message with its delivery, until it is judged.
struct Item {
    delivery: Delivery,
    received: Received,
}

impl<H: Handler> Process for Events<H> {
    async fn process(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        health: &HealthPart,
        stopping: &CancellationToken,
    ) -> Result<(), Unsettled> {
        Batch { events: self, channel, health, stopping }.process(deliveries).await
    }
}

/// A batch on its way from deliveries to acknowledgements.
struct Batch<'a, H> {
    events: &'a Events<H>,
    channel: &'a Channel,
    health: &'a HealthPart,
    stopping: &'a CancellationToken,
}

impl<H: Handler> Batch<'_, H> {
    /// Processes deliveries in their order and settles all of them, or none that is not decided.
    async fn process(&self, deliveries: Vec<Delivery>) -> Result<(), Unsettled> {
        let started = Instant::now();
        let mut items = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match Received::read(&Origin::of(self.events.queue, &delivery), &delivery.data) {
                (_, Ok(received)) => items.push(Item { delivery, received }),
                (span, Err(error)) => self.reject(&delivery, &span, &error.to_string()).await?,
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        crash_here!("after-delivery-before-commit");
        let count = items.len();
        if let Err(items) = self.settle(items).await? {
            for item in items {
                self.settle_alone(item).await?;
            }
        }
        let elapsed = started.elapsed().as_secs_f64();
        let labels = [
            KeyValue::new("messaging.system", "rabbitmq"),
            KeyValue::new("messaging.destination.name", self.events.queue.name()),
        ];
        for _ in 0..count {
            DURATION.record(elapsed, &labels);
        }
        Ok(())
    }

    /// Handles the messages in one transaction and settles them. Gives them back if that can't work for all of them.
    async fn settle(&self, items: Vec<Item>) -> Result<Result<(), Vec<Item>>, Unsettled> {
        let (deliveries, received): (Vec<_>, Vec<_>) =
            items.into_iter().map(|item| (item.delivery, item.received)).unzip();
        match self.transact(&received).await {
            Ok(verdicts) => {
                crash_here!("after-commit-before-ack");
                self.events.handler.committed();
                let mut last = None;
                for ((delivery, received), verdict) in deliveries.iter().zip(&received).zip(verdicts) {
                    match verdict {
                        Verdict::Done => {
                            received.processed(self.events.queue);
                            last = Some(delivery);
                        }
                        Verdict::Poison(reason) => self.reject(delivery, &received.span, &reason).await?,
                    }
                }
                if let Some(last) = last {
                    settle(self.channel, last.ack(BasicAckOptions { multiple: true })).await?;
                }
                Ok(Ok(()))
            }
            Err(GaveUp::Stopping) => Err(Unsettled::Stopping),
            Err(GaveUp::Failed(error)) if received.len() > 1 => {
                debug!(queue = %self.events.queue, %error, "the batch failed; message by message now");
                let pairs = deliveries.into_iter().zip(received);
                Ok(Err(pairs.map(|(delivery, received)| Item { delivery, received }).collect()))
            }
            Err(GaveUp::Failed(error)) => {
                for (delivery, received) in deliveries.iter().zip(&received) {
                    self.reject(delivery, &received.span, &format!("still failing: {error}")).await?;
                }
                Ok(Ok(()))
            }
        }
    }

    async fn settle_alone(&self, item: Item) -> Result<(), Unsettled> {
        // A batch of one is never given back.
        self.settle(vec![item]).await.map(|_| ())
    }

    async fn transact(&self, batch: &[Received]) -> Result<Vec<Verdict>, GaveUp> {
        self.events
            .outbox
            .transact(self.health, self.stopping, &HandleBatch { handler: &*self.events.handler, batch })
            .instrument(transaction_span(self.events.queue, batch))
            .await
    }

    /// Sends a message to the dead-letter queue.
    async fn reject(&self, delivery: &Delivery, span: &Span, reason: &str) -> Result<(), Unsettled> {
        span.record("error.type", "poison");
        span.in_scope(|| {
            warn!(
                queue = %self.events.queue,
                dead_letter_queue = self.events.queue.dead_letter_queue(),
                reason,
                "poison message, dead-lettered"
            );
        });
        rejection::note_reason(self.events.outbox.pool(), self.events.queue, delivery, reason).await;
        settle(self.channel, delivery.reject(BasicRejectOptions { requeue: false })).await
    }
}

/// A batch in the hands of its handler.
struct HandleBatch<'a, H> {
    handler: &'a H,
    batch: &'a [Received],
}

impl<H: Handler> Work for HandleBatch<'_, H> {
    type Output = Vec<Verdict>;

    async fn run(&self, unit: &mut UnitOfWork) -> Result<Vec<Verdict>, sqlx::Error> {
        self.handler.handle(unit, self.batch).await
    }
}

/// The span of the shared transaction: a child of the first message's, linked to the others'.
fn transaction_span(queue: Queue, batch: &[Received]) -> Span {
    let Some((first, others)) = batch.split_first() else {
        return Span::none();
    };
    let span = info_span!(
        parent: &first.span,
        "transaction",
        otel.name = format!("transaction {queue}"),
        messaging.batch.message_count = i64::try_from(batch.len()).unwrap_or(i64::MAX),
    );
    for other in others {
        other.cause().trace.link_to(&span);
    }
    span
}
