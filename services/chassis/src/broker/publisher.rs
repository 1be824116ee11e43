//! Publishing with confirms, on lanes of its own for each queue: one that refuses messages, or can't confirm them, keeps
//! no others waiting.

use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use contracts::EventId;
use contracts::topology::Queue;
use strum::VariantArray;
use thiserror::Error;
use tokio::sync::oneshot;

use super::lane::{LANES, Lane, WINDOW};
use super::{Broker, Message, Throttle, Unavailable};
use crate::tasks::Tasks;

/// Batches for one queue that wait for a lane; more make their senders wait.
const WAITING: usize = 2 * LANES * WINDOW;

/// Why a message is not known to be on the broker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// It was not sent.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// No queue took it; it is not on the broker.
    #[error("no queue is bound for it")]
    Unroutable,
    /// The broker refused it (a queue is full, or could not write); it is not in every queue.
    #[error("the broker refused it")]
    Refused,
    /// No confirm came. It may be on the broker or not.
    #[error("the broker did not confirm it: {0}")]
    Unconfirmed(Arc<str>),
}

impl PublishError {
    /// Whether the message may be on the broker in spite of the error.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unconfirmed(_))
    }

    /// A short name that is the same for every error of its kind, for metrics and traces.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Unroutable => "unroutable",
            Self::Refused => "refused",
            Self::Unconfirmed(_) => "unconfirmed",
        }
    }
}

/// What became of a message. `Ok` means that a queue has it on disk.
pub type PublishResult = Result<(), PublishError>;

/// Messages for one queue that are published together, and where their results go, in the same order.
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    pub(super) reply: oneshot::Sender<Vec<PublishResult>>,
}

/// Publishes messages, and says which of them the broker has on disk. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    /// Where batches wait for the lanes of each queue, in the order of [`Queue::VARIANTS`].
    waiting: Arc<[Sender<Batch>]>,
    broker: Broker,
}

impl Publisher {
    /// Starts the lanes; they end when the tasks stop. One that is given nothing opens no channel.
    #[must_use]
    pub fn start(broker: Broker, confirm_timeout: Duration, tasks: &Tasks) -> Self {
        let start_lanes = |queue: &Queue| {
            let (sender, receiver) = async_channel::bounded(WAITING);
            for number in 0..LANES {
                let lane = Lane::new(receiver.clone(), broker.clone(), confirm_timeout, tasks.stopping());
                tasks.spawn_essential(format!("publisher lane {number} of {queue}"), lane.run());
            }
            sender
        };
        let waiting = Queue::VARIANTS.iter().map(start_lanes).collect();
        Self { waiting, broker }
    }

    /// Whether a message could be published right now.
    pub fn availability(&self) -> Result<(), Unavailable> {
        self.broker.availability()
    }

    /// Waits until a message could be published.
    pub(crate) async fn available(&self) {
        self.broker.available().await;
    }

    /// Watches how long the queues are that messages go to.
    pub(crate) fn throttle(&self) -> Throttle {
        Throttle::new(self.broker.clone())
    }

    /// Publishes one message.
    pub async fn publish(&self, message: Message) -> PublishResult {
        self.send(message.route().queue, vec![message]).await?.pop().unwrap_or_else(|| Err(stopping()))
    }

    /// Publishes messages that go to one queue, all at once. The results are in their order.
    pub(crate) async fn publish_to(
        &self,
        queue: Queue,
        messages: Vec<Message>,
    ) -> Vec<(EventId, PublishResult)> {
        let events: Vec<EventId> = messages.iter().map(|message| message.event_id).collect();
        match self.send(queue, messages).await {
            Ok(results) => events.into_iter().zip(results).collect(),
            Err(error) => events.into_iter().map(|event| (event, Err(error.clone()))).collect(),
        }
    }

    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<Vec<PublishResult>, PublishError> {
        // Told apart from "sent but not confirmed" as early as possible: this one is safe to try again.
        self.availability()?;
        let (reply, results) = oneshot::channel();
        self.waiting[queue as usize].send(Batch { messages, reply }).await.map_err(|_| stopping())?;
        results.await.map_err(|_| stopping())
    }
}

fn stopping() -> PublishError {
    Unavailable::Down("shutting down".into()).into()
}
