//! Keeps the backlog of the outbox from filling queues that are long already.

use std::time::{Duration, Instant};

use contracts::topology::Queue;
use lapin::Channel;

use super::Broker;
use super::inspect::messages_in;

/// Messages that wait in a queue when it counts as long: about what a consumer takes in a second.
const LONG: u32 = 2000;

/// How often a long queue is checked.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long the broker may take to report the length of a queue.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Watches how long queues are, on a channel of its own.
pub(crate) struct Throttle {
    broker: Broker,
    channel: Option<Channel>,
}

impl Throttle {
    pub(super) const fn new(broker: Broker) -> Self {
        Self { broker, channel: None }
    }

    /// Waits until a queue is no longer long; `false` if it still is after `timeout`. A queue whose length is unknown counts
    /// as short: publishing to it meets the error.
    pub(crate) async fn wait_until_short(&mut self, queue: Queue, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.length(queue).await.is_some_and(|length| length >= LONG) {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        true
    }

    /// Messages that are ready to be delivered, if the broker reports it.
    async fn length(&mut self, queue: Queue) -> Option<u32> {
        let channel = self.channel.take().filter(|channel| channel.status().connected());
        let look = async {
            let channel = match channel {
                Some(channel) => channel,
                None => self.broker.connection().await.create_channel().await?,
            };
            let length = messages_in(&channel, queue.name()).await?;
            Ok::<_, lapin::Error>((channel, length))
        };
        // After an error the channel is closed, or soon will be.
        let (channel, length) = tokio::time::timeout(ANSWER_TIMEOUT, look).await.ok()?.ok()?;
        self.channel = Some(channel);
        Some(length)
    }
}
