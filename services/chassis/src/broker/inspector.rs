//! Asks for the state of queues while the service runs.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::Broker;

/// What the broker says about a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueState {
    /// Messages that are ready to be delivered.
    pub(crate) messages: u32,
    /// Consumers, in all replicas of the service.
    pub(crate) consumers: u32,
}

/// Asks for the state of queues, on a channel of its own.
pub(crate) struct QueueInspector {
    broker: Broker,
    channel: Option<Channel>,
}

impl QueueInspector {
    pub(crate) const fn new(broker: Broker) -> Self {
        Self { broker, channel: None }
    }

    /// The state of a queue, if the broker reports it. Waits for as long as the broker takes.
    pub(crate) async fn inspect(&mut self, queue: &str) -> Option<QueueState> {
        let channel = match self.channel.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.broker.connection().await.create_channel().await.ok()?,
        };
        // After an error the channel is closed, or soon will be.
        let state = state_of(&channel, queue).await.ok()?;
        self.channel = Some(channel);
        Some(state)
    }
}

/// The state of a queue. Asks and changes nothing, so it needs no permission to configure.
pub(super) async fn state_of(channel: &Channel, queue: &str) -> lapin::Result<QueueState> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    Ok(QueueState { messages: declared.message_count(), consumers: declared.consumer_count() })
}
