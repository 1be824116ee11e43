//! Messages that could not be handled: out of the dead-letter queues, into the database, for an operator to decide.
//!
//! ```text
//! consumer rejects → dead-letter queue → collector → failed_messages ─ replay ─→ replayer → Applier → mark
//!        └ why → rejections ──────────────────┘           └─ discard
//! ```
//!
//! A message about an order whose row is of a newer version is no failure: it is stored as if an operator wanted it replayed,
//! and tried again every minute until it can be applied.
//!
//! A message is acknowledged on its dead-letter queue only once it is stored. Replaying applies it to its order as the
//! consumer of its queue would, without a broker in between, then marks it. It keeps its event id, so replaying what was
//! applied in the meantime, or replaying it twice because the process died before the mark, changes nothing.

mod collector;
mod dead_letter;
mod gauge;
mod http;
mod replayer;
mod store;

use contracts::failed_message::FailedMessage;
use contracts::topology::Queue;
use contracts::{OrderId, Word};
use lapin::message::Delivery;
use sqlx::PgPool;

pub use http::routes;

use crate::aggregate::{Aggregate, Applier};
use crate::broker::Broker;
use crate::cadence::Cadence;
use crate::consumer::{Progress, Subscription};
use crate::database::StoreError;
use crate::health::Health;
use crate::load::Stage;
use crate::tasks::Tasks;
use collector::Collector;
use dead_letter::DeadLetter;
use replayer::Replayer;

/// Stores a message that can't be applied before a newer version is back; the replayer tries it again and again.
pub(crate) async fn hold(pool: &PgPool, queue: Queue, delivery: &Delivery) -> Result<(), StoreError> {
    store::hold(pool, &DeadLetter::of(queue, delivery)).await
}

/// The messages about an order that wait for a decision, the one that failed last first.
pub async fn of_order(pool: &PgPool, order: OrderId) -> Result<Vec<FailedMessage<Word>>, StoreError> {
    store::open_of_order(pool, order).await
}

/// Most dead letters held unacknowledged.
const PREFETCH: u16 = 100;

/// Failed messages of the queues that a service consumes.
pub(crate) struct FailedMessages<A: Aggregate> {
    pub(crate) queues: Vec<Queue>,
    pub(crate) applier: Applier<A>,
    pub(crate) broker: Broker,
}

impl<A: Aggregate> FailedMessages<A> {
    /// Collects dead letters, and replays those that an operator wants replayed.
    pub(crate) fn start(self, health: &Health, tasks: &Tasks) {
        let Self { queues, applier, broker } = self;
        let pool = applier.pool().clone();
        for &queue in &queues {
            let handler = Collector { queue, pool: pool.clone() };
            let (queue, broker) = (queue.dead_letter_queue(), broker.clone());
            // No order waits for these.
            let (cadence, stage, progress) = (Cadence::relaxed(), Stage::default(), Progress::default());
            Subscription { queue, handler, broker, prefetch: PREFETCH, cadence, stage, progress }
                .start(health, tasks);
        }
        Replayer { applier, publishers: broker.publishers() }.start(health, tasks);
        gauge::start(&pool, queues, tasks);
    }
}
