//! Restores the topology in the background after a part of it was found missing. No message waits for that.

use std::sync::Arc;
use std::time::Duration;

use contracts::topology::Service;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::config::TopologyMode;
use super::{Broker, topology};

/// How long declaring everything may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The pause after each restoration. What is missing may be out of this service's reach, and each message that finds it
/// missing asks for it.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks for a restoration.
#[derive(Clone, Default)]
pub(super) struct Restoration(Arc<Notify>);

impl Restoration {
    /// Asks for one, unless one is asked for already.
    pub(super) fn ask(&self) {
        self.0.notify_one();
    }

    /// Waits until one is asked for.
    pub(super) async fn asked(&self) {
        self.0.notified().await;
    }
}

/// Declares the topology again, on the connection that there is, whenever it is asked for, one time after the other.
pub(super) async fn keep(broker: Broker, service: Service, mode: TopologyMode, stopping: CancellationToken) {
    let restore = async {
        loop {
            broker.asked_for_topology().await;
            let connection = broker.connection().await;
            match tokio::time::timeout(TIMEOUT, topology::establish(&connection, service, mode)).await {
                Ok(Ok(())) => {}
                // Those that asked find the same part missing again, and report it where it matters.
                Ok(Err(error)) => debug!(%error, "the topology could not be restored"),
                Err(_) => debug!("the topology could not be restored in time"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    stopping.run_until_cancelled(restore).await;
}
