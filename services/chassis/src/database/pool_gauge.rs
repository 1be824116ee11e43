//! How many connections the pools have.

use opentelemetry::KeyValue;
use sqlx::PgPool;

use crate::telemetry::METER;

/// Shows how many connections each of these pools has, by its name, and how many of them are in use.
pub(crate) fn show(pools: Vec<(&'static str, PgPool)>) {
    let count = METER
        .u64_observable_gauge("db.client.connection.count")
        .with_description("Connections to the database, by whether they are in use.");
    count
        .with_callback(move |observer| {
            for (name, pool) in &pools {
                let idle = u64::try_from(pool.num_idle()).unwrap_or(u64::MAX);
                let used = u64::from(pool.size()).saturating_sub(idle);
                for (state, count) in [("idle", idle), ("used", used)] {
                    let labels = [
                        KeyValue::new("db.client.connection.pool.name", *name),
                        KeyValue::new("state", state),
                    ];
                    observer.observe(count, &labels);
                }
            }
        })
        .build();
}
