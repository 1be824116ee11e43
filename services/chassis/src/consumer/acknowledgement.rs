//! How a delivery ends: acknowledged, or rejected to its dead-letter queue.

use std::future::Future;
use std::time::Duration;

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicRejectOptions};
use lapin::types::ShortString;
use thiserror::Error;

/// How often it is looked whether the channel is still there.
const INTERVAL: Duration = Duration::from_millis(500);

/// A channel that can't be used any more. What was delivered on it and not acknowledged is delivered again.
#[derive(Debug, Error)]
pub(crate) enum ChannelLost {
    #[error("{0}")]
    Error(#[from] lapin::Error),
    #[error("the channel was lost")]
    Gone,
    #[error("the broker cancelled the consumer")]
    Cancelled,
    #[error("no answer in time")]
    Late,
}

/// Acknowledges a delivery.
pub(crate) async fn acknowledge(channel: &Channel, delivery: &Delivery) -> Result<(), ChannelLost> {
    sent(channel, delivery.ack(BasicAckOptions::default())).await
}

/// Acknowledges a delivery and every one before it that is neither acknowledged nor rejected.
pub(crate) async fn acknowledge_up_to(channel: &Channel, delivery: &Delivery) -> Result<(), ChannelLost> {
    sent(channel, delivery.ack(BasicAckOptions { multiple: true })).await
}

/// Sends a delivery to its dead-letter queue.
pub(crate) async fn reject(channel: &Channel, delivery: &Delivery) -> Result<(), ChannelLost> {
    sent(channel, delivery.reject(BasicRejectOptions { requeue: false })).await
}

/// Ends a subscription. What was delivered but not acknowledged goes back to the queue when the channel closes.
pub(crate) async fn cancel(channel: &Channel, consumer: ShortString) -> Result<(), ChannelLost> {
    sent(channel, channel.basic_cancel(consumer, BasicCancelOptions::default())).await
}

/// Waits until a command is on its way, or the channel is lost.
///
/// One that meets the end of the connection within the same millisecond is never resolved by lapin 4.12. Its consumer
/// would wait indefinitely, and its queue with it, while everything else goes on.
async fn sent<T>(
    channel: &Channel,
    sending: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<(), ChannelLost> {
    let lost = async {
        while channel.status().connected() {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        sent = sending => Ok(sent.map(drop)?),
        () = lost => Err(ChannelLost::Gone),
    }
}
