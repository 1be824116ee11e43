//! Connections that are used again at once.
//!
//! The pool tests a connection each time that it gets it back: two round trips, sqlx's own and ours, which has a deadline. One
//! whose last statement was answered a moment ago needs no test.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use super::config::TRUSTED_FOR;

/// Connections that are never kept, for those who use the pool itself.
const FOR_OTHERS: u32 = 2;

/// A pool, and some of its connections at hand. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Connections {
    pool: PgPool,
    at_hand: Arc<Mutex<Vec<AtHand>>>,
}

struct AtHand {
    connection: PoolConnection<Postgres>,
    answered_at: Instant,
}

/// A connection in use. It goes back to the pool, which tests it, unless it is [kept](Lent::keep).
pub struct Lent {
    connection: PoolConnection<Postgres>,
    home: Connections,
}

impl Connections {
    /// The pool's connections, none of them at hand yet.
    #[must_use]
    pub fn of(pool: PgPool) -> Self {
        Self { pool, at_hand: Arc::default() }
    }

    /// The pool itself.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection that was used just now, or one of the pool's.
    pub async fn take(&self) -> Result<Lent, sqlx::Error> {
        let connection = match self.trusted() {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(Lent { connection, home: self.clone() })
    }

    /// The connection that was used last. Those that are not trusted any more are the pool's to test.
    fn trusted(&self) -> Option<PoolConnection<Postgres>> {
        let mut at_hand = self.at_hand();
        at_hand.retain(|AtHand { answered_at, .. }| answered_at.elapsed() < TRUSTED_FOR);
        at_hand.pop().map(|AtHand { connection, .. }| connection)
    }

    /// Whether the pool has another connection for the next who asks it.
    fn has_another(&self) -> bool {
        self.pool.num_idle() > 0 || self.pool.size() < self.most()
    }

    fn most(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    fn at_hand(&self) -> MutexGuard<'_, Vec<AtHand>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// Keeps the connection at hand: everything that was sent has been answered, and no transaction is open. If the pool has
    /// no other, this one goes back to it: those who wait there are served in their order, and not after those who come
    /// by here.
    pub fn keep(self) {
        let Self { connection, home } = self;
        let has_another = home.has_another();
        let mut at_hand = home.at_hand();
        if has_another && at_hand.len() < home.most().saturating_sub(FOR_OTHERS) as usize {
            at_hand.push(AtHand { connection, answered_at: Instant::now() });
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
