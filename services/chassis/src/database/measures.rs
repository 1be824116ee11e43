//! What gauges show, read from the database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use super::{StoreError, in_time};
use crate::tasks::Tasks;

/// How often it is read.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reads something every ten seconds, less often if that takes long, and records it. What can't be read keeps its last
/// measure; the database's health reports why.
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
    let (pool, record) = (pool.clone(), Arc::new(record));
    tasks.spawn_looks(INTERVAL, name, move || {
        let (reading, record) = (read(pool.clone()), Arc::clone(&record));
        async move {
            if let Ok(measure) = in_time(reading).await {
                record(measure);
            }
        }
    });
}
