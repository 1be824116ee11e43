//! Connections that are used again at once.
//!
//! The pool tests a connection each time that it gets it back: two round trips, sqlx's own and ours, which has a deadline. One
//! whose last statement was answered a moment ago needs no test.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use contracts::OwnerFilter;
use opentelemetry::metrics::Histogram;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tracing::Span;

use super::config::TRUSTED_FOR;
use crate::telemetry::{METER, record_wait};

/// Connections that are never kept, for those who use the pool itself.
const FOR_OTHERS: u32 = 2;

static WAIT_TIME: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("db.client.connection.wait_time")
        .with_unit("s")
        .with_description("Time until the pool gave a connection: to wait for one, to make one, to test one.")
        .build()
});

/// A pool, and some of its connections at hand. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Connections {
    pool: PgPool,
    at_hand: Arc<Mutex<Vec<AtHand>>>,
}

struct AtHand {
    connection: PoolConnection<Postgres>,
    /// Whose rows it sees, if it was told.
    rows_of: Option<OwnerFilter>,
    answered_at: Instant,
}

/// A connection in use. It goes back to the pool, which tests it, unless it is [kept](Lent::keep).
pub struct Lent {
    connection: PoolConnection<Postgres>,
    rows_of: Option<OwnerFilter>,
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

    /// How many connections are not in use.
    pub(crate) fn idle(&self) -> usize {
        self.pool.num_idle() + self.at_hand().len()
    }

    /// A connection that was used just now, or one of the pool's.
    pub async fn take(&self) -> Result<Lent, sqlx::Error> {
        self.take_one(None).await
    }

    /// The same, and it sees no rows but those of this owner, whatever is asked (the policies of row-level security).
    pub async fn take_for(&self, owner: &OwnerFilter) -> Result<Lent, sqlx::Error> {
        let mut lent = self.take_one(Some(owner)).await?;
        if lent.rows_of.as_ref() != Some(owner) {
            let told = sqlx::query("SELECT set_config('paysaga.owners', $1, false)").bind(pattern(owner));
            told.execute(&mut *lent).await?;
            lent.rows_of = Some(owner.clone());
        }
        Ok(lent)
    }

    async fn take_one(&self, owner: Option<&OwnerFilter>) -> Result<Lent, sqlx::Error> {
        let (connection, rows_of) = match self.trusted(owner) {
            Some(AtHand { connection, rows_of, .. }) => (connection, rows_of),
            None => (acquire(&self.pool).await?, None),
        };
        Ok(Lent { connection, rows_of, home: self.clone() })
    }

    /// The connection that was used last, for this owner if there is one. Those that are not trusted any more are the pool's
    /// to test.
    fn trusted(&self, owner: Option<&OwnerFilter>) -> Option<AtHand> {
        let mut at_hand = self.at_hand();
        at_hand.retain(|AtHand { answered_at, .. }| answered_at.elapsed() < TRUSTED_FOR);
        let same = at_hand.iter().rposition(|AtHand { rows_of, .. }| rows_of.as_ref() == owner);
        same.map(|place| at_hand.remove(place)).or_else(|| at_hand.pop())
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

/// A connection of the pool, once there is one.
async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let waiting = Instant::now();
    let acquired = pool.acquire().await;
    WAIT_TIME.record(waiting.elapsed().as_secs_f64(), &[]);
    record_wait(&Span::current(), waiting, "wait: database connection");
    acquired
}

/// What the owners of the rows must be `LIKE`.
fn pattern(owner: &OwnerFilter) -> String {
    match owner {
        OwnerFilter::Any => "%".to_owned(),
        OwnerFilter::Only(owner) => {
            let special = |letter: char| matches!(letter, '%' | '_' | '\\');
            let escaped = owner
                .as_str()
                .chars()
                .flat_map(|letter| special(letter).then_some('\\').into_iter().chain([letter]));
            escaped.collect()
        }
    }
}

impl Lent {
    /// Keeps the connection at hand: everything that was sent has been answered, and no transaction is open. If the pool has
    /// no other, this one goes back to it: those who wait there are served in their order, and not after those who come
    /// by here.
    pub fn keep(self) {
        let Self { connection, rows_of, home } = self;
        let has_another = home.has_another();
        let mut at_hand = home.at_hand();
        if has_another && at_hand.len() < home.most().saturating_sub(FOR_OTHERS) as usize {
            at_hand.push(AtHand { connection, rows_of, answered_at: Instant::now() });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_pattern() {
        for (owner, expected) in [("*", "%"), ("shop", "shop"), (r"my_%\shop", r"my\_\%\\shop")] {
            assert_eq!(pattern(&owner.parse().unwrap()), expected);
        }
    }
}
