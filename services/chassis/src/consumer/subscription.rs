//! A queue's subscription, renewed for as long as the service runs.

use std::future::Future;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use thiserror::Error;

use super::acknowledgement::{ChannelLost, cancel};
use crate::aggregate::Stopping;
use crate::backoff::Backoff;
use crate::broker::Broker;
use crate::health::Health;
use crate::tasks::{TaskContext, Tasks};

/// Most messages in one batch.
const MAX_BATCH: usize = 200;

/// How long opening a channel and subscribing may take.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the broker's confirmation of a closed channel is waited for. The channel is closed even if it comes later.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is done with the messages of a queue.
pub(crate) trait DeliveryHandler: Send + Sync + 'static {
    /// Handles deliveries of a channel in their order, and acknowledges or rejects each.
    fn handle(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        task: &TaskContext,
    ) -> impl Future<Output = Result<(), Interrupted>> + Send;
}

/// Why some of the deliveries were neither acknowledged nor rejected. They are delivered again.
#[derive(Debug, Error)]
pub(crate) enum Interrupted {
    #[error(transparent)]
    ChannelLost(#[from] ChannelLost),
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// A queue, and what is done with its messages.
pub(crate) struct Subscription<H> {
    pub(crate) queue: &'static str,
    pub(crate) handler: H,
    pub(crate) broker: Broker,
    /// Most messages held unacknowledged.
    pub(crate) prefetch: u16,
}

impl<H: DeliveryHandler> Subscription<H> {
    /// Consumes the queue, on one channel after the other, until the tasks stop.
    pub(crate) fn start(self, health: &Health, tasks: &Tasks) {
        tasks.spawn_monitored(&format!("consumer {}", self.queue), health, |task| self.run(task));
    }

    async fn run(self, task: TaskContext) {
        let mut backoff = Backoff::for_infrastructure();
        while let Some(subscribed) = task.unless_stopping(self.subscribe()).await {
            let reason = match subscribed {
                Ok((channel, deliveries)) => {
                    task.health.up();
                    backoff.reset();
                    match self.consume(&channel, deliveries, &task).await {
                        Interrupted::Stopping(_) => return,
                        Interrupted::ChannelLost(lost) => lost.to_string(),
                    }
                }
                Err(reason) => reason,
            };
            task.health.down(reason);
            if task.unless_stopping(backoff.wait()).await.is_none() {
                return;
            }
            // The queue itself may be missing: it was deleted, or the broker was replaced by an empty one.
            self.broker.restore_topology().await;
        }
    }

    async fn subscribe(&self) -> Result<(Channel, Consumer), String> {
        let connection = self.broker.connection().await;
        let late = || "no subscription in time".to_owned();
        let channel = tokio::time::timeout(SUBSCRIBE_TIMEOUT, connection.create_channel()).await;
        let channel = channel.map_err(|_| late())?.map_err(|error| error.to_string())?;
        let subscribe = async {
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let (queue, tag) = (self.queue.into(), "".into());
            channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await
        };
        if let Ok(subscribed) = tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscribe).await {
            return subscribed.map(|deliveries| (channel, deliveries)).map_err(|error| error.to_string());
        }
        // A quorum queue without a leader answers when it has one again. lapin would keep that subscription, and with
        // it every message that the broker delivers to it, unread.
        let closed = channel.close(200, "no subscription in time".into());
        tokio::time::timeout(CLOSE_TIMEOUT, closed).await.ok();
        Err(late())
    }

    /// Handles what is delivered until the task stops or the channel is lost.
    async fn consume(&self, channel: &Channel, mut deliveries: Consumer, task: &TaskContext) -> Interrupted {
        loop {
            let Some(first) = task.unless_stopping(deliveries.next()).await else {
                cancel(channel, deliveries.tag()).await.ok();
                return Stopping.into();
            };
            let first = match first {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return ChannelLost::from(error).into(),
                None => return ChannelLost::Cancelled.into(),
            };
            let batch = gather(first, &mut deliveries);
            if let Err(interrupted) = self.handler.handle(channel, batch, task).await {
                return interrupted;
            }
        }
    }
}

/// The first delivery and those that have arrived with it; waits for none.
fn gather(first: Delivery, deliveries: &mut Consumer) -> Vec<Delivery> {
    let mut batch = vec![first];
    while batch.len() < MAX_BATCH
        && let Some(Some(Ok(delivery))) = deliveries.next().now_or_never()
    {
        batch.push(delivery);
    }
    batch
}
