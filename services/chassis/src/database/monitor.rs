//! Whether the database answers, for readiness.

use std::time::Duration;

use sqlx::PgPool;

use super::config::ACQUIRE_TIMEOUT;
use crate::health::Health;
use crate::tasks::Tasks;

const INTERVAL: Duration = Duration::from_secs(2);

/// Asks the database every two seconds whether it is there.
pub fn monitor(pool: PgPool, health: &Health, tasks: &Tasks) {
    let part = health.part("database");
    tasks.spawn_every(INTERVAL, "database monitor", move || {
        let (pool, part) = (pool.clone(), part.clone());
        async move {
            match tokio::time::timeout(ACQUIRE_TIMEOUT, sqlx::query("SELECT 1").execute(&pool)).await {
                Ok(Ok(_)) => part.up(),
                Ok(Err(error)) => part.down(error.to_string()),
                Err(_) => part.down("no answer in time"),
            }
        }
    });
}
