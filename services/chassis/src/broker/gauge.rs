//! How long the queues of a service are, and their dead-letter queues.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use contracts::topology::Queue;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Gauge;
use tokio::sync::Mutex;

use super::QueueInspector;
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// How often the broker is asked.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long it may take to answer everything.
const TIMEOUT: Duration = Duration::from_secs(5);

static MESSAGES: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.queue.messages")
        .with_description("Messages that are ready in a queue (`kind` is `ready`), or in its dead-letter queue (`dead_letter`).")
        .build()
});

/// Measures these queues until the tasks stop. What can't be measured keeps its last measure; the broker's part of the health
/// reports why.
pub(crate) fn measure_queues(queues: Vec<Queue>, inspector: QueueInspector, tasks: &Tasks) {
    let (queues, inspector) = (Arc::new(queues), Arc::new(Mutex::new(inspector)));
    tasks.spawn_every(INTERVAL, "queue gauge", move || {
        let (queues, inspector) = (Arc::clone(&queues), Arc::clone(&inspector));
        async move {
            let mut inspector = inspector.lock().await;
            tokio::time::timeout(TIMEOUT, measure_once(&queues, &mut inspector)).await.ok();
        }
    });
}

async fn measure_once(queues: &[Queue], inspector: &mut QueueInspector) {
    for queue in queues {
        for (name, kind) in [(queue.name(), "ready"), (queue.dead_letter_queue(), "dead_letter")] {
            let Some(state) = inspector.inspect(name).await else { return };
            let labels = [KeyValue::new("queue", queue.name()), KeyValue::new("kind", kind)];
            MESSAGES.record(u64::from(state.messages), &labels);
        }
    }
}
