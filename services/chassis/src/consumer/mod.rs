//! Messages in, a batch at a time.
//!
//! ```text
//! runner: connection → channel (prefetch) → batch of what has arrived
//!   events: decode → one transaction: handler + outbox → commit → reject the poison, ack the rest at once
//! ```
//!
//! Three kinds of failure. *Infrastructure* (database away): hold the batch, back off, be not ready, never
//! dead-letter. *Transient* (deadlock, lock timeout): try again, five times in all. *Poison* (does not
//! decode, breaks the contract, still failing): reject that one message, which dead-letters it. A batch that fails is
//! tried message by message, so that a bad message stops only itself.

mod config;
mod events;
mod received;
pub(crate) mod rejection;
mod runner;

use std::future::Future;
use std::sync::Arc;

use contracts::topology::Queue;

pub use config::{ConsumerConfig, ConsumerVariables};
pub use received::Received;

pub(crate) use received::Origin;
pub(crate) use runner::{Process, Runner, Unsettled, settle};

use crate::broker::Broker;
use crate::health::Health;
use crate::outbox::{Outbox, UnitOfWork};
use crate::tasks::Tasks;
use events::Events;

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was handled, or had been before.
    Done,
    /// It can never be handled, and why: it goes to the dead-letter queue.
    Poison(String),
}

/// Changes a service's state by the messages of its queues.
pub trait Handler: Send + Sync + 'static {
    /// Handles a batch within one transaction, which the caller commits, and judges each message in its order.
    ///
    /// Must be idempotent: any message may come again, in any order, for as long as its order lives.
    fn handle(
        &self,
        unit: &mut UnitOfWork,
        batch: &[Received],
    ) -> impl Future<Output = Result<Vec<Verdict>, sqlx::Error>> + Send;

    /// Called after each commit, to start what the changes call for.
    fn committed(&self) {}
}

/// Consumes a queue with a handler until the tasks stop.
pub fn start(
    queue: Queue,
    handler: Arc<impl Handler>,
    broker: Broker,
    outbox: Outbox,
    config: ConsumerConfig,
    health: &Health,
    tasks: &Tasks,
) {
    let process = Events { queue, handler, outbox };
    Runner { queue: queue.name(), process, broker, prefetch: config.prefetch }.start(health, tasks);
}
