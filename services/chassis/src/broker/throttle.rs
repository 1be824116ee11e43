//! Keeps the backlog of the outbox from filling queues that are long already.

use std::time::{Duration, Instant};

use contracts::topology::Queue;

use super::{Broker, QueueInspector};

/// Messages that wait in a queue when it counts as long: enough to keep its consumer busy until the next check, and so few
/// that the gateway, which looks at the queues too, still lets new orders in.
const LONG: u32 = 600;

/// How often a long queue is checked.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long the broker may take to report the length of a queue.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Watches how long queues are.
pub(crate) struct Throttle {
    inspector: QueueInspector,
}

impl Throttle {
    pub(super) const fn new(broker: Broker) -> Self {
        Self { inspector: QueueInspector::new(broker) }
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
        let inspected = tokio::time::timeout(ANSWER_TIMEOUT, self.inspector.inspect(queue.name())).await;
        Some(inspected.ok()??.messages)
    }
}
