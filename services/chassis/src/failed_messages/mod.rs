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
//!
//! Many are handled again by a replay, an operation that lasts: its messages are chosen when it begins, and taken one by one,
//! wave after wave, by any replica. What becomes of each is stored in the transaction that marks the message, so a replica that
//! dies leaves nothing behind but a message that another one handles once more.

mod causes;
mod collector;
mod dead_letter;
mod edit;
mod gauge;
mod http;
mod replayer;
mod replays;
mod store;
mod subject;

use contracts::failed_message::FailedMessage;
use contracts::topology::Queue;
use contracts::{OrderId, Word};
use lapin::message::Delivery;
use sqlx::PgPool;
use tracing::warn;

pub(crate) use causes::Causes;
pub(crate) use http::{Context, routes};

use crate::aggregate::{Aggregate, Applier, Stored};
use crate::broker::Broker;
use crate::cadence::Cadence;
use crate::consumer::{Progress, Subscription};
use crate::database::{FailureKind, StoreError};
use crate::health::Health;
use crate::load::Stage;
use crate::tasks::Tasks;
use collector::Collector;
use dead_letter::DeadLetter;
pub(crate) use gauge::OPEN_NOW;
use replayer::Replayer;
pub(crate) use store::open_by_queue;
use subject::Subject;

/// Stores a message that can't be applied before a newer version is back; the replayer tries it again and again.
pub(crate) async fn hold<A: Aggregate>(
    applier: &Applier<A>,
    queue: Queue,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let letter = DeadLetter::of(queue, delivery);
    store::hold(applier.pool(), &letter, subject_of(applier, letter.body).await?).await
}

/// What a message is about. Where it names an order and no amount, the service may know what the order comes to.
async fn subject_of<A: Aggregate>(applier: &Applier<A>, body: &[u8]) -> Result<Subject, StoreError> {
    let subject = Subject::of(body);
    let (Some(order), None) = (subject.order_id, subject.amount) else { return Ok(subject) };
    let mut connection = applier.pool().acquire().await?;
    let known = match applier.aggregate().load(&mut connection, &[order]).await {
        Ok(rows) => rows.into_iter().next(),
        // A damaged row may be what the message failed for.
        Err(error) if error.kind() == FailureKind::Permanent => {
            warn!(%error, order.id = %order, "what the order of a failed message comes to can't be read");
            None
        }
        Err(error) => return Err(error),
    };
    let amount = known.and_then(|(_, stored)| match stored {
        Stored::Known(entity) => Some(A::amount(&entity)),
        Stored::Newer => None,
    });
    Ok(Subject { amount, ..subject })
}

/// The messages about an order, the one that failed last first.
pub async fn of_order(pool: &PgPool, order: OrderId) -> Result<Vec<FailedMessage<Word>>, StoreError> {
    store::of_order(pool, order).await
}

/// Most dead letters held unacknowledged.
const PREFETCH: u16 = 100;

/// Failed messages of the queues that a service consumes.
pub(crate) struct FailedMessages<A: Aggregate> {
    pub(crate) queues: Vec<Queue>,
    pub(crate) applier: Applier<A>,
    pub(crate) broker: Broker,
    pub(crate) causes: Causes,
}

impl<A: Aggregate> FailedMessages<A> {
    /// Collects dead letters, and replays those that an operator wants replayed.
    pub(crate) fn start(self, health: &Health, tasks: &Tasks) {
        let Self { queues, applier, broker, causes } = self;
        let pool = applier.pool().clone();
        for &queue in &queues {
            let handler = Collector { queue, applier: applier.clone() };
            let (queue, broker) = (queue.dead_letter_queue(), broker.clone());
            // No order waits for these.
            let (cadence, stage, progress) = (Cadence::relaxed(), Stage::default(), Progress::default());
            Subscription { queue, handler, broker, prefetch: PREFETCH, cadence, stage, progress }
                .start(health, tasks);
        }
        Replayer { applier, publishers: broker.publishers() }.start(health, tasks);
        gauge::start(&pool, queues, tasks);
        causes.start(tasks);
    }
}
