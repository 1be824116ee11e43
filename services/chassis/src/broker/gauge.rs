//! How long the queues of a service are, and their dead-letter queues.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::topology::Queue;
use opentelemetry::KeyValue;

use super::QueueInspector;
use crate::samples::Latest;
use crate::tasks::Tasks;
use crate::telemetry::METER;

/// How often the broker is asked.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long it may take to answer about a queue.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a measure is shown. Of a queue that does not answer, nothing is known after that.
const VALID: Duration = Duration::from_mins(1);

/// How many messages were ready in all of the queues together, without the dead-letter queues.
pub(crate) static QUEUED_NOW: Latest = Latest::new();

/// The queues and what was measured, by queue and kind.
type Lengths = Arc<Mutex<HashMap<(Queue, &'static str), (Instant, u32)>>>;

/// Measures these queues until the tasks stop. A broker that is away holds up neither the tasks nor the end of the service.
pub(crate) fn measure_queues(queues: Vec<Queue>, mut inspector: QueueInspector, tasks: &Tasks) {
    let lengths = Lengths::default();
    show(Arc::clone(&lengths));
    let stopping = tasks.stopping();
    tasks.spawn_essential("queue gauge", async move {
        stopping.run_until_cancelled(measure_again_and_again(&queues, &mut inspector, &lengths)).await;
    });
}

fn show(lengths: Lengths) {
    METER
        .u64_observable_gauge("paysaga.queue.messages")
        .with_description(
            "Messages that are ready in a queue (`ready`) and in its dead-letter queue (`dead_letter`).",
        )
        .with_callback(move |observer| {
            let lengths = lengths.lock().unwrap_or_else(PoisonError::into_inner);
            let known = lengths.iter().filter(|(_, (at, _))| at.elapsed() < VALID);
            for ((queue, kind), (_, messages)) in known {
                let labels = [KeyValue::new("queue", queue.name()), KeyValue::new("kind", *kind)];
                observer.observe(u64::from(*messages), &labels);
            }
        })
        .build();
}

async fn measure_again_and_again(queues: &[Queue], inspector: &mut QueueInspector, lengths: &Lengths) {
    loop {
        measure(queues, inspector, lengths).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn measure(queues: &[Queue], inspector: &mut QueueInspector, lengths: &Lengths) {
    let mut sum = Some(0);
    for queue in queues {
        for (name, kind) in [(queue.name(), "ready"), (queue.dead_letter_queue(), "dead_letter")] {
            let state = tokio::time::timeout(TIMEOUT, inspector.inspect(name)).await.ok().flatten();
            if kind == "ready" {
                sum = sum.zip(state).map(|(sum, state)| sum + u64::from(state.messages));
            }
            if let Some(state) = state {
                let mut lengths = lengths.lock().unwrap_or_else(PoisonError::into_inner);
                lengths.insert((*queue, kind), (Instant::now(), state.messages));
            }
        }
    }
    if let Some(sum) = sum {
        QUEUED_NOW.set(sum);
    }
}
