//! Messages in, a batch at a time.
//!
//! ```text
//! subscription: connection → channel (prefetch) → batch of what has arrived
//!   events: read → Applier (one transaction) → reject what can't be applied, acknowledge the rest at once
//! ```
//!
//! Two kinds of failure. *Conditions* (the database is unavailable, slow, locked or full; deadlocks): hold the message, back
//! off, be not ready, never dead-letter, however long it lasts. *Poison* (does not decode, breaks the contract or a rule
//! of the schema): reject that one message, which dead-letters it. A batch that fails is applied message by message, so
//! that a bad message stops only itself.

mod acknowledgement;
mod config;
mod events;
mod hearing;
mod reason;
mod received;
pub(crate) mod rejections;
mod subscription;

use contracts::topology::Queue;

pub use config::{ConsumerConfig, ConsumerVariables};
pub use hearing::Hearing;

pub(crate) use acknowledgement::acknowledge;
pub(crate) use hearing::Progress;
pub(crate) use reason::Reason;
pub(crate) use received::{Origin, Received, decode, read};
pub(crate) use subscription::{DeliveryHandler, Interrupted, Subscription};

use crate::aggregate::{Aggregate, Applier};
use crate::broker::Broker;
use crate::cadence::Cadence;
use crate::load::Stage;
use events::{EventHandler, start_counting_dead_letters};

/// The consumer of a queue: each event is a trigger to the service's aggregate. What it has taken waits in `stage`, and
/// `progress` tells how far it has come.
pub(crate) fn consumer<A: Aggregate>(
    queue: Queue,
    config: ConsumerConfig,
    broker: Broker,
    applier: Applier<A>,
    stage: Stage,
    progress: Progress,
) -> Subscription<impl DeliveryHandler> {
    start_counting_dead_letters(queue);
    let handler = EventHandler { queue, applier, publishers: broker.publishers() };
    let cadence = match queue {
        // No order waits for what is recorded beside the saga.
        Queue::OrderPaymentTimeline => Cadence::relaxed(),
        _ => Cadence::prompt(),
    };
    Subscription { queue: queue.name(), handler, broker, prefetch: config.prefetch, cadence, stage, progress }
}
