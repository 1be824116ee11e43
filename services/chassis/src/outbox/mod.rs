//! The transactional outbox: state and messages are one commit.
//!
//! ```text
//! Applier ─ commit ─→ outbox rows ─ fast path ─→ relay ─→ publisher ─→ confirmed ─→ deleter
//!                          └── what the fast path left behind ─→ sweeper ─→ publisher ─→ confirmed: delete
//! ```
//!
//! The fast path carries the rows of a committed transaction straight to the publisher, in memory; while the broker is
//! unavailable it holds some thousands. Whatever it does not get confirmed (process killed, queue full, more than it holds)
//! stays in the table, and the sweeper of any replica
//! publishes it. No row belongs to a process; a message published twice is absorbed by the consumers' guards.

mod deleter;
mod frontier;
mod gauge;
mod relay;
mod store;
mod sweeper;

use std::time::Duration;

use contracts::OrderId;
use contracts::diagnosis::UnpublishedEvent;
use contracts::topology::Service;
use sqlx::{PgConnection, PgPool};

use crate::broker::{Message, Publisher};
use crate::database::StoreError;
use crate::health::Health;
use crate::tasks::Tasks;
pub(crate) use gauge::DEPTH_NOW;
use relay::Relay;
pub(crate) use store::backlog;

/// How long a row may lie, beyond the time that the broker has to confirm it, before it counts as left behind. The relay of
/// its replica has it in hand until then; any replica publishes it afterwards.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(2);

/// Most rows that are published, confirmed and deleted together.
const BATCH: usize = 500;

/// The events of an order that are committed and not known to be on the broker, the oldest first.
pub async fn of_order(pool: &PgPool, order: OrderId) -> Result<Vec<UnpublishedEvent>, StoreError> {
    store::of_order(pool, order).await
}

/// Takes the messages of transactions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    relay: Relay,
}

impl Outbox {
    /// Connections that relay, sweeper and gauge need together.
    pub(crate) const CONNECTIONS: u32 = 4;

    /// Starts relay and sweeper. `pool` is for deleting what was published: its commits may be forgotten in a crash of the
    /// database, since publishing a message again does no harm. `confirm_timeout` is how long the broker may take.
    pub(crate) fn start(
        service: Service,
        pool: PgPool,
        publisher: Publisher,
        confirm_timeout: Duration,
        health: &Health,
        tasks: &Tasks,
    ) -> Self {
        let relay = Relay::start(service, &pool, &publisher, health, tasks);
        gauge::start(&pool, tasks);
        let left_behind_after = confirm_timeout + LEFT_BEHIND_AFTER;
        sweeper::start(pool, publisher, relay.held().clone(), left_behind_after, health, tasks);
        Self { relay }
    }

    /// Writes messages down, in the transaction that they belong to.
    pub(crate) async fn insert(
        &self,
        connection: &mut PgConnection,
        messages: &[Message],
    ) -> Result<(), StoreError> {
        if messages.is_empty() { Ok(()) } else { store::insert(connection, messages).await }
    }

    /// Publishes the messages of a committed transaction. They are in the table already, so nothing is lost if the relay
    /// has too much to do.
    pub(crate) fn publish(&self, messages: Vec<Message>) {
        self.relay.publish(messages);
    }

    /// Messages that are committed and being published. What was left behind is not counted.
    pub(crate) fn publishing(&self) -> usize {
        self.relay.held().publishing()
    }
}
