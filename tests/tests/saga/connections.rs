//! Connections at hand, beside those who use the pool itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chassis::database::Connections;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tests::infrastructure::{new_database, new_name};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Those who take a connection again as soon as they have given it back.
const EAGER: usize = 30;

async fn pool(connections: u32) -> PgPool {
    let url = new_database(&new_name()).await;
    PgPoolOptions::new().max_connections(connections).connect_lazy(&url).expect("a valid URL")
}

#[tokio::test]
async fn who_waits_for_the_pool_waits_for_those_who_came_before() {
    let pool = pool(8).await;
    let (connections, served) = (Connections::of(pool.clone()), Arc::new(AtomicUsize::new(0)));
    let mut eager = JoinSet::new();
    for _ in 0..EAGER {
        let (connections, served) = (connections.clone(), Arc::clone(&served));
        eager.spawn(async move {
            loop {
                let mut connection = connections.take().await.expect("a connection");
                sqlx::query("SELECT pg_sleep(0.01)").execute(&mut *connection).await.expect("it works");
                connection.keep();
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..5 {
        // Connections are made, and some are at hand.
        sleep(Duration::from_millis(200)).await;
        let before = served.load(Ordering::Relaxed);
        drop(pool.acquire().await.expect("a connection"));
        let after = served.load(Ordering::Relaxed);
        assert!(after - before <= 2 * EAGER, "{} others were served first", after - before);
    }
}

#[tokio::test]
async fn a_connection_that_was_at_hand_for_long_is_the_pools_again() {
    let pool = pool(3).await;
    let connections = Connections::of(pool.clone());
    connections.take().await.expect("a connection").keep();
    let _in_use = (pool.acquire().await.expect("a connection"), pool.acquire().await.expect("a connection"));
    // Longer than it is trusted for. All three exist; this one is taken, and nothing else is waited for.
    sleep(Duration::from_millis(1500)).await;
    let taken = tokio::time::timeout(Duration::from_secs(10), connections.take()).await;
    assert!(taken.expect("in time").is_ok());
}
