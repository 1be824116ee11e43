//! One queue's consumer, for as long as the service lives.

use std::future::Future;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::broker::Broker;
use crate::health::{Health, HealthPart};
use crate::tasks::Tasks;

/// Most messages in one batch.
const MAX_BATCH: usize = 200;

/// How long opening a channel and subscribing may take.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the broker may take to say that a channel is closed. It is told at once, and obeys even if it says so later.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is done with the messages of a queue.
pub(crate) trait Process: Send + Sync + 'static {
    /// Processes deliveries of a channel in their order, and acknowledges or rejects each (see [`settle`]).
    fn process(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        health: &HealthPart,
        stopping: &CancellationToken,
    ) -> impl Future<Output = Result<(), Unsettled>> + Send;
}

/// Why a batch was not settled. Its messages come again.
#[derive(Debug, Error)]
pub(crate) enum Unsettled {
    #[error("{0}")]
    ChannelLost(#[from] lapin::Error),
    #[error("the channel was lost")]
    ChannelGone,
    #[error("stopping")]
    Stopping,
}

/// Why consuming ended.
enum End {
    Stopping,
    Lost(String),
}

/// Consumes a queue, on one channel after the other.
pub(crate) struct Runner<P> {
    pub(crate) queue: &'static str,
    pub(crate) process: P,
    pub(crate) broker: Broker,
    /// Most messages held unacknowledged.
    pub(crate) prefetch: u16,
}

impl<P: Process> Runner<P> {
    /// Consumes until the tasks stop.
    pub(crate) fn start(self, health: &Health, tasks: &Tasks) {
        let name = format!("consumer {}", self.queue);
        let (health, stopping) = (health.part(name.clone()), tasks.stopping());
        tasks.spawn_essential(name, self.run(health, stopping));
    }

    async fn run(self, health: HealthPart, stopping: CancellationToken) {
        let mut backoff = Backoff::for_infrastructure();
        loop {
            let subscribed = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                subscribed = self.subscribe() => subscribed,
            };
            let reason = match subscribed {
                Ok((channel, deliveries)) => {
                    health.up();
                    backoff.reset();
                    match self.consume(&channel, deliveries, &health, &stopping).await {
                        End::Stopping => return,
                        End::Lost(reason) => reason,
                    }
                }
                Err(reason) => reason,
            };
            health.down(reason);
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = backoff.wait() => {}
            }
            // The queue itself may be gone: somebody deleted it, or the broker was replaced by an empty one.
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
        // it every message that the broker sends there, for nobody.
        let closed = channel.close(200, "no subscription in time".into());
        tokio::time::timeout(CLOSE_TIMEOUT, closed).await.ok();
        Err(late())
    }

    async fn consume(
        &self,
        channel: &Channel,
        mut deliveries: Consumer,
        health: &HealthPart,
        stopping: &CancellationToken,
    ) -> End {
        loop {
            let first = tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    // What was delivered but not begun goes back to the queue when the channel closes.
                    let cancelled = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
                    settle(channel, cancelled).await.ok();
                    return End::Stopping;
                }
                first = deliveries.next() => first,
            };
            let first = match first {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return End::Lost(error.to_string()),
                None => return End::Lost("the broker cancelled the consumer".to_owned()),
            };
            match self.process.process(channel, gather(first, &mut deliveries), health, stopping).await {
                Ok(()) => {}
                Err(Unsettled::Stopping) => return End::Stopping,
                Err(lost) => return End::Lost(lost.to_string()),
            }
        }
    }
}

/// Waits until an acknowledgement or a rejection is on its way, or the channel is lost.
///
/// One that meets the end of the connection within the same millisecond is never resolved by lapin 4.12: nobody is left who
/// would. Its consumer would wait for ever, and its queue with it, while everything else goes on.
pub(crate) async fn settle<T>(
    channel: &Channel,
    sending: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<(), Unsettled> {
    const INTERVAL: Duration = Duration::from_millis(500);
    let lost = async {
        while channel.status().connected() {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        sent = sending => Ok(sent.map(drop)?),
        () = lost => Err(Unsettled::ChannelGone),
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
