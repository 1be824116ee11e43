//! What waits in a service, as operators see it: the part of an overview that is the same for all services.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use contracts::OwnerFilter;
use contracts::overview::{QueueLength, Waiting};
use contracts::topology::Queue;
use tokio::sync::Mutex;

use crate::broker::QueueInspector;
use crate::database::{Connections, StoreError};
use crate::{failed_messages, outbox};

/// How long the broker may take to say how long the queues are.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Looks at what waits. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct WaitingNow {
    /// Set as soon as the service runs.
    queues: Arc<OnceLock<Mutex<Queues>>>,
}

struct Queues {
    consumed: Vec<Queue>,
    inspector: QueueInspector,
}

impl WaitingNow {
    /// From now on there are queues to look at.
    pub(crate) fn watch(&self, consumed: Vec<Queue>, inspector: QueueInspector) {
        // A service starts once.
        self.queues.set(Mutex::new(Queues { consumed, inspector })).ok();
    }

    /// What waits now, in a service of so many replicas.
    pub async fn read(&self, connections: &Connections, replicas: u32) -> Result<Waiting, StoreError> {
        let mut connection = connections.take_for(&OwnerFilter::Any).await?;
        let outbox = outbox::backlog(&mut *connection).await?;
        let failed_messages = failed_messages::open_by_queue(&mut *connection).await?;
        connection.keep();
        let depth = outbox.depth.unsigned_abs();
        Ok(Waiting {
            replicas,
            outbox: depth,
            outbox_oldest_seconds: (depth > 0)
                .then(|| Duration::try_from_secs_f64(outbox.age).unwrap_or_default().as_secs()),
            queues: self.queues().await.unwrap_or_default(),
            failed_messages: failed_messages.values().sum::<i64>().unsigned_abs(),
        })
    }

    /// How long the queues are; `None` if the broker does not say so in time.
    async fn queues(&self) -> Option<Vec<QueueLength>> {
        let mut queues = self.queues.get()?.lock().await;
        tokio::time::timeout(TIMEOUT, queues.measure()).await.ok().flatten()
    }
}

impl Queues {
    async fn measure(&mut self) -> Option<Vec<QueueLength>> {
        let mut lengths = Vec::with_capacity(self.consumed.len());
        for queue in &self.consumed {
            let state = self.inspector.inspect(queue.name()).await?;
            lengths.push(QueueLength {
                queue: queue.name().to_owned(),
                messages: state.messages.into(),
                consumers: state.consumers.into(),
            });
        }
        Some(lengths)
    }
}
