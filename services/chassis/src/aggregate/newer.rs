//! How many rows are of a newer version.

use std::sync::{Arc, LazyLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;

use super::{Aggregate, Applier};
use crate::database::measure;
use crate::tasks::Tasks;
use crate::telemetry::METER;

static NEWER: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.rows.newer")
        .with_description("Rows with a status or a step of a newer version, which are left alone, by table.")
        .build()
});

impl<A: Aggregate> Applier<A> {
    /// Starts counting rows of a newer version.
    pub(crate) fn measure_newer(&self, tasks: &Tasks) {
        let aggregate = Arc::clone(&self.aggregate);
        let read = move |pool| {
            let aggregate = Arc::clone(&aggregate);
            async move { aggregate.count_newer(&pool).await }
        };
        let record = |count| NEWER.record(count, &[KeyValue::new("table", A::TABLE)]);
        measure("gauge of a newer version's rows", self.pool(), tasks, read, record);
    }
}
