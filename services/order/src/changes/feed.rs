//! The one task that looks for what has become visible, while a gateway listens.

use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::Backoff;
use chassis::database::{StoreError, in_time};
use contracts::changes::Changed;
use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Changes;
use crate::store::changes::{self, Visible};

/// The pause between two looks at most: another replica's commits are not announced.
const INTERVAL: Duration = Duration::from_millis(50);

/// The pause between two looks at least, so that commits that follow each other closely share one.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);

/// How many times longer than a look the pause after it is. A transaction that is held open makes looks slow; then they become
/// rare.
const PAUSE_PER_LOOK: u32 = 4;

/// Orders that a line names at most. Where more have changed, everything is to be read anew.
const MOST_ORDERS: usize = 5_000;

impl Changes {
    /// Looks until the service stops.
    pub(crate) async fn run(self: Arc<Self>, pool: PgPool, stopping: CancellationToken) {
        stopping.run_until_cancelled(self.look_again_and_again(&pool)).await;
    }

    async fn look_again_and_again(&self, pool: &PgPool) {
        let mut backoff = Backoff::for_infrastructure();
        loop {
            while self.listeners().is_empty() {
                self.look.notified().await;
            }
            // On the heap: it is large, and there is seldom one.
            match Box::pin(self.look_while_listened_to(pool, &mut backoff)).await {
                Ok(()) => {}
                Err(error) => {
                    // The database's part of the service's health reports why. Those who wait look by themselves meanwhile.
                    debug!(%error, "changes can't be looked for");
                    backoff.wait().await;
                    self.tell(&Changed { anew: true, ..Changed::default() });
                }
            }
        }
    }

    /// Looks until no gateway listens any more. On one connection: should PostgreSQL crash, it may give ids of transactions
    /// once more, and a snapshot from before means nothing. The connection breaks then, and everything is read anew.
    async fn look_while_listened_to(&self, pool: &PgPool, backoff: &mut Backoff) -> Result<(), StoreError> {
        let mut connection = in_time(async { Ok(pool.acquire().await?) }).await?;
        let mut snapshot = in_time(changes::snapshot(&mut connection)).await?;
        backoff.reset();
        for listener in &mut *self.listeners() {
            listener.is_behind = true;
        }
        loop {
            let started = Instant::now();
            let visible = in_time(changes::since(&mut connection, &snapshot)).await?;
            let (present, changed) = changed(visible);
            if !self.tell(&changed) {
                return Ok(());
            }
            snapshot = present;
            let shortest = SHORTEST_INTERVAL.max(started.elapsed() * PAUSE_PER_LOOK);
            sleep(shortest).await;
            timeout_at(started + INTERVAL.max(shortest), self.look.notified()).await.ok();
        }
    }
}

fn changed(Visible { snapshot, orders, settled, owners }: Visible) -> (changes::Snapshot, Changed) {
    let changed = if orders.len() > MOST_ORDERS {
        Changed { anew: true, ..Changed::default() }
    } else {
        Changed { anew: false, orders, settled, owners }
    };
    (snapshot, changed)
}
