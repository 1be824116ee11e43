//! How many rows are of a newer version.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;

use super::{Aggregate, Applier};
use crate::database::in_time;
use crate::tasks::Tasks;
use crate::telemetry::METER;

const INTERVAL: Duration = Duration::from_secs(10);

static NEWER: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.rows.newer")
        .with_description("Rows with a status or a step of a newer version, which are left alone, by table.")
        .build()
});

impl<A: Aggregate> Applier<A> {
    /// Starts counting rows of a newer version.
    pub(crate) fn measure_newer(&self, tasks: &Tasks) {
        let applier = self.clone();
        tasks.spawn_every(INTERVAL, "gauge of a newer version's rows", move || {
            let applier = applier.clone();
            async move {
                // Rows that can't be counted keep their last measure; the database's health reports why.
                if let Ok(count) = in_time(applier.aggregate.count_newer(applier.pool())).await {
                    NEWER.record(count, &[KeyValue::new("table", A::TABLE)]);
                }
            }
        });
    }
}
