//! How many connections the pools have.

use opentelemetry::KeyValue;

use super::Connections;
use crate::telemetry::METER;

/// Shows how many connections each of these pools has, by its name, and how many of them are in use.
pub(crate) fn show<const COUNT: usize>(pools: [(&'static str, Connections); COUNT]) {
    let count = METER
        .u64_observable_gauge("db.client.connection.count")
        .with_description("Connections to the database, by whether they are in use.");
    count
        .with_callback(move |observer| {
            for (name, connections) in &pools {
                let idle = connections.idle();
                let used = (connections.pool().size() as usize).saturating_sub(idle);
                for (state, count) in [("idle", idle), ("used", used)] {
                    let pool = KeyValue::new("db.client.connection.pool.name", *name);
                    observer.observe(count as u64, &[pool, KeyValue::new("state", state)]);
                }
            }
        })
        .build();
}
