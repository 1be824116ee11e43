//! The transactional outbox: state and messages are one commit.
//!
//! ```text
//! handler → UnitOfWork ─ commit ─→ outbox rows ─ fast path ─→ relay ─→ publisher ─→ confirmed: delete the rows
//!                                       └── what the fast path left behind ─→ sweeper ─→ publisher ─┘
//! ```
//!
//! The fast path carries the rows of a committed transaction straight to the publisher, in memory. Whatever it does
//! not get confirmed (broker away, process killed, queue full) stays in the table, and the sweeper of any replica
//! publishes it. Rows belong to nobody; a message sent twice is absorbed by the consumers' guards.

mod relay;
mod store;
mod sweeper;
mod transact;
mod unit_of_work;

use std::time::Duration;

use sqlx::PgPool;

use crate::broker::Publisher;
use crate::tasks::Tasks;

pub use transact::{GaveUp, Work};
pub use unit_of_work::{Cause, UnitOfWork};

use relay::Relay;

/// Age at which a row counts as left behind. The fast path needs some milliseconds; under load, some hundred.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(3);

/// Most rows that are published, confirmed and deleted together.
const BATCH: usize = 500;

/// Begins units of work, and sees to it that their messages leave. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pool: PgPool,
    relay: Relay,
}

impl Outbox {
    /// Starts relay and sweeper. `pool` is for the units of work; `relaxed` for deleting what was published, which
    /// may be forgotten in a crash of the database, since publishing it again does no harm.
    #[must_use]
    pub fn start(pool: PgPool, relaxed: PgPool, publisher: Publisher, tasks: &Tasks) -> Self {
        let relay = Relay::start(&relaxed, &publisher, tasks);
        sweeper::start(relaxed, publisher, tasks);
        Self { pool, relay }
    }

    /// Begins a transaction that can change rows and emit events.
    pub async fn begin(&self) -> Result<UnitOfWork, sqlx::Error> {
        UnitOfWork::begin(&self.pool, self.relay.clone()).await
    }

    /// The pool of the units of work, for reading.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }
}
