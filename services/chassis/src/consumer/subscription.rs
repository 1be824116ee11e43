//! A queue's subscription, renewed for as long as the service runs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use thiserror::Error;

use super::acknowledgement::{ChannelLost, cancel};
use super::hearing::Progress;
use crate::aggregate::{MAX_BATCH, Stopping};
use crate::backoff::Backoff;
use crate::broker::Broker;
use crate::cadence::Cadence;
use crate::health::Health;
use crate::load::Stage;
use crate::tasks::{TaskContext, Tasks};

/// How long the broker may take for each answer until messages are delivered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Deliveries after which a message that was never acknowledged may be the reason for that.
const SUSPICIOUS: i64 = 3;

/// How long the broker's confirmation of a closed channel is waited for. The channel is closed even if it comes later.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is done with the messages of a queue.
pub(crate) trait DeliveryHandler: Send + Sync + 'static {
    /// Waits until a delivery could be handled. One that is taken before, and given back when the channel ends, counts as
    /// delivered: a long outage of the database with a few of the broker in it would dead-letter it.
    fn ready(&self, task: &TaskContext) -> impl Future<Output = Result<(), Stopping>> + Send;

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
    /// How far apart batches of them begin.
    pub(crate) cadence: Cadence,
    /// Where they wait, and how fast they are handled.
    pub(crate) stage: Stage,
    /// How far it has come.
    pub(crate) progress: Progress,
}

impl<H: DeliveryHandler> Subscription<H> {
    /// Consumes the queue, on one channel after the other, until the tasks stop.
    pub(crate) fn start(self, health: &Health, tasks: &Tasks) {
        tasks.spawn_monitored(&format!("consumer {}", self.queue), health, |task| self.run(task));
    }

    async fn run(self, task: TaskContext) {
        let mut backoff = Backoff::for_infrastructure();
        loop {
            let Err(interrupted) = self.consume(&task, &mut backoff).await;
            // What was held is back in the queue, or soon will be.
            self.stage.holds(0);
            self.progress.away();
            match interrupted {
                Interrupted::Stopping(_) => return,
                Interrupted::ChannelLost(lost) => task.health.down(lost.to_string()),
            }
            // The queue itself may be missing: it was deleted, or the broker was replaced by an empty one.
            self.broker.restore_topology();
            if task.unless_stopping(backoff.wait()).await.is_none() {
                return;
            }
        }
    }

    /// Handles what the queue delivers on one channel, until that is lost or the task stops.
    async fn consume(&self, task: &TaskContext, backoff: &mut Backoff) -> Result<Infallible, Interrupted> {
        self.handler.ready(task).await?;
        let channel = task.unless_stopping(self.open()).await.ok_or(Stopping)??;
        self.handle_suspects(&channel, task).await?;
        let mut deliveries = task.unless_stopping(self.subscribe(&channel)).await.ok_or(Stopping)??;
        task.health.up();
        backoff.reset();
        let (mut held, mut cadence) = (VecDeque::new(), self.cadence.clone());
        loop {
            let gathering = self.gather(&mut deliveries, &mut held, &cadence);
            if task.unless_stopping(gathering).await.transpose()?.is_none() {
                cancel(&channel, deliveries.tag()).await.ok();
                return Err(Stopping.into());
            }
            self.stage.holds(held.len());
            let batch: Vec<_> = held.drain(..held.len().min(MAX_BATCH)).collect();
            let (count, gathered) = (batch.len(), Instant::now());
            cadence.begin(count, gathered);
            self.handler.handle(&channel, batch, task).await?;
            self.stage.handled(count, gathered.elapsed());
            self.stage.holds(held.len());
            if held.is_empty() {
                self.progress.handled(gathered);
            }
        }
    }

    /// Adds what has arrived to the deliveries that are held; waits for the next one if there are none, and a moment more for
    /// others if several come at a time.
    async fn gather(
        &self,
        deliveries: &mut Consumer,
        held: &mut VecDeque<Delivery>,
        cadence: &Cadence,
    ) -> Result<(), ChannelLost> {
        take_arrived(deliveries, held)?;
        if held.is_empty() {
            self.progress.idle();
            let next = deliveries.next().await.ok_or(ChannelLost::Cancelled)??;
            self.progress.busy(Instant::now());
            held.push_back(next);
        }
        if held.len() < MAX_BATCH
            && let Some(pause) = cadence.pause(Instant::now())
        {
            tokio::time::sleep(pause).await;
        }
        take_arrived(deliveries, held)
    }

    async fn open(&self) -> Result<Channel, ChannelLost> {
        let connection = self.broker.connection().await;
        let opened = tokio::time::timeout(ANSWER_TIMEOUT, connection.create_channel()).await;
        Ok(opened.map_err(|_| ChannelLost::Late)??)
    }

    /// Takes the messages at the head of the queue that were delivered again and again, one after the other. Handling one
    /// of them may be what ended the process each time: then no other is delivered with it, and blamed with it.
    async fn handle_suspects(&self, channel: &Channel, task: &TaskContext) -> Result<(), Interrupted> {
        loop {
            let get = channel.basic_get(self.queue.into(), BasicGetOptions::default());
            let got = task.unless_stopping(answer(channel, get)).await.ok_or(Stopping)??;
            let Some(BasicGetMessage { delivery, .. }) = got else { return Ok(()) };
            let suspicious = earlier_deliveries(&delivery) >= SUSPICIOUS;
            self.handler.handle(channel, vec![delivery], task).await?;
            if !suspicious {
                return Ok(());
            }
        }
    }

    async fn subscribe(&self, channel: &Channel) -> Result<Consumer, ChannelLost> {
        let subscribe = async {
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let (queue, tag) = (self.queue.into(), "".into());
            channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()).await
        };
        answer(channel, subscribe).await
    }
}

/// Waits for the broker's answer on a channel, and closes the channel if it doesn't come.
///
/// A quorum queue without a leader answers when it has one again. lapin would keep that answer, a subscription for
/// instance, and with it every message that the broker delivers to it, unread.
async fn answer<T>(
    channel: &Channel,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, ChannelLost> {
    if let Ok(answered) = tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        return Ok(answered?);
    }
    let closed = channel.close(200, "no answer in time".into());
    tokio::time::timeout(CLOSE_TIMEOUT, closed).await.ok();
    Err(ChannelLost::Late)
}

/// How often a message was delivered before and not acknowledged, as quorum queues count it.
fn earlier_deliveries(delivery: &Delivery) -> i64 {
    let headers = delivery.properties.headers().as_ref();
    match headers.and_then(|headers| headers.inner().get("x-delivery-count")) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => i64::from(*count),
        Some(AMQPValue::LongUInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortInt(count)) => i64::from(*count),
        Some(AMQPValue::ShortShortInt(count)) => i64::from(*count),
        _ => 0,
    }
}

/// Adds what has arrived; waits for none. The end of the channel is told once, so it must not be passed over here.
fn take_arrived(deliveries: &mut Consumer, held: &mut VecDeque<Delivery>) -> Result<(), ChannelLost> {
    while let Some(next) = deliveries.next().now_or_never() {
        held.push_back(next.ok_or(ChannelLost::Cancelled)??);
    }
    Ok(())
}
