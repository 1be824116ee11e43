//! The transactional outbox: state and messages are one commit.
//!
//! ```text
//! Applier ─ commit ─→ outbox rows ─ fast path ─→ relay ─→ publisher ─→ confirmed: delete the rows
//!                          └── what the fast path left behind ─→ sweeper ─→ publisher ─┘
//! ```
//!
//! The fast path carries the rows of a committed transaction straight to the publisher, in memory. Whatever it does
//! not get confirmed (broker unavailable, process killed, queue full) stays in the table, and the sweeper of any replica
//! publishes it. No row belongs to a process; a message published twice is absorbed by the consumers' guards.

mod frontier;
mod gauge;
mod relay;
mod store;
mod sweeper;

use std::time::Duration;

use async_channel::Sender;
use sqlx::{PgConnection, PgPool};
use tracing::debug;

use crate::broker::{Message, Publisher};
use crate::database::StoreError;
use crate::health::Health;
use crate::tasks::Tasks;

/// Age at which a row counts as left behind. The fast path needs some milliseconds; under load, some hundred.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(3);

/// Most rows that are published, confirmed and deleted together.
const BATCH: usize = 500;

/// Takes the messages of transactions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    /// The messages of committed transactions, for the relay.
    committed: Sender<Vec<Message>>,
}

impl Outbox {
    /// Connections that relay, sweeper and gauge need together.
    pub(crate) const CONNECTIONS: u32 = 4;

    /// Starts relay and sweeper. `pool` is for deleting what was published: its commits may be forgotten in a crash of the
    /// database, since publishing a message again does no harm.
    pub(crate) fn start(pool: PgPool, publisher: Publisher, health: &Health, tasks: &Tasks) -> Self {
        let committed = relay::start(&pool, &publisher, health, tasks);
        gauge::start(pool.clone(), tasks);
        sweeper::start(pool, publisher, health, tasks);
        Self { committed }
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
        if !messages.is_empty() && self.committed.try_send(messages).is_err() {
            debug!("the outbox relay is busy; the sweeper publishes these messages");
        }
    }
}
