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
use std::time::Duration;

use contracts::topology::{Queue, Service};
use lapin::message::Delivery;
use sqlx::PgPool;
use strum::VariantArray;
use tracing::debug;
use uuid::Uuid;

pub use http::{ROUTES, routes};

use crate::broker::Broker;
use crate::consumer::{Handler, Runner};
use crate::health::Health;
use crate::outbox::Outbox;
use crate::tasks::Tasks;
use collector::Collector;
use replayer::Replayer;

/// Most dead letters held unacknowledged.
const PREFETCH: u16 = 100;

/// How long noting the reason of a rejection may take; the rejection does not depend on it.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);

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

/// Writes down why a message is about to be rejected. Without it the message arrives all the same, with the broker's
/// word for the reason.
pub(crate) async fn note_rejection(pool: &PgPool, queue: Queue, delivery: &Delivery, reason: &str) {
    let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string);
    let id = id_of(queue, message_id.as_deref(), &delivery.data);
    let noted = tokio::time::timeout(NOTE_TIMEOUT, store::note_rejection(pool, id, reason));
    match noted.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the reason of a rejection was not noted"),
        Err(_) => debug!("the reason of a rejection was not noted in time"),
    }
}

/// The identity of a failed message: the same message on the same queue has the same, however often it fails.
fn id_of(queue: Queue, message_id: Option<&str>, body: &[u8]) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x8f0e_1d2c_3b4a_5968_8776_6554_4332_2110);
    let place = Uuid::new_v5(&NAMESPACE, queue.name().as_bytes());
    let named = Uuid::new_v5(&place, message_id.unwrap_or_default().as_bytes());
    Uuid::new_v5(&named, body)
}
