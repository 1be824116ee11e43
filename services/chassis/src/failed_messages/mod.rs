//! Messages that could not be handled: out of the dead-letter queues, into the database, into somebody's hands.
//!
//! ```text
//! consumer rejects → dead-letter queue → collector → failed_messages ─ replay ─→ replayer → the same handler
//!        └ why → rejections ──────────────────┘           └─ discard
//! ```
//!
//! A message is acknowledged on its dead-letter queue only once it is stored. Replaying hands it to the handler of its
//! queue again, in one transaction with the mark that it was: no broker in between, nothing to lose. It keeps its event
//! id, so replaying what was handled in the meantime changes nothing.

mod actions;
mod collector;
mod dead_letter;
mod http;
mod queries;
mod replayer;
mod store;

use std::sync::Arc;

use contracts::topology::{Queue, Service};
use strum::VariantArray;

pub use http::routes;

use crate::broker::Broker;
use crate::consumer::{Handler, Runner};
use crate::health::Health;
use crate::outbox::Outbox;
use crate::tasks::Tasks;
use collector::Collector;
use replayer::Replayer;

/// Most dead letters held unacknowledged.
const PREFETCH: u16 = 100;

/// Collects the dead letters of `service`, and replays those that somebody wants replayed.
pub fn start(
    service: Service,
    handler: Arc<impl Handler>,
    broker: &Broker,
    outbox: &Outbox,
    health: &Health,
    tasks: &Tasks,
) {
    let queues = Queue::VARIANTS.iter().copied().filter(move |queue| queue.consumer() == service);
    for queue in queues.clone() {
        let process = Collector { queue, outbox: outbox.clone() };
        let (queue, broker) = (queue.dead_letter_queue(), broker.clone());
        Runner { queue, process, broker, prefetch: PREFETCH }.start(health, tasks);
    }
    Replayer { handler, outbox: outbox.clone() }.start(health, tasks);
    store::measure(outbox.pool().clone(), queues.collect(), tasks);
}
