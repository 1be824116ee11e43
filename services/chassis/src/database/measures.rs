//! What gauges show, read from the database.

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::{StoreError, in_time};
use crate::tasks::{Tasks, pause_after};

/// How often it is read.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reads something every ten seconds, less often if that takes long, and records it. What can't be read keeps its last measure; the database's health
/// reports why.
pub fn measure<T, F>(
    name: &'static str,
    pool: &PgPool,
    tasks: &Tasks,
    read: impl Fn(PgPool) -> F + Send + 'static,
    record: impl Fn(T) + Send + Sync + 'static,
) where
    T: Send,
    F: Future<Output = Result<T, StoreError>> + Send,
{
    let (pool, stopping) = (pool.clone(), tasks.stopping());
    tasks.spawn_essential(name, async move {
        while !stopping.is_cancelled() {
            let started = Instant::now();
            if let Ok(measure) = in_time(read(pool.clone())).await {
                record(measure);
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(pause_after(started.elapsed(), INTERVAL)) => {}
            }
        }
    });
}
