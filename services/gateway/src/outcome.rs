//! `Prefer: wait`: a client that is answered once its order has settled.
//!
//! It listens before the order is sent, reads the order when it is told that it has settled, and costs nothing in between. Where
//! the order service can't tell, or was away, it reads again.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use chassis::http::{Caller, CorrelationId};
use contracts::order::Order;
use contracts::{OrderId, OrderStatus, OwnerFilter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::Gateway;
use crate::changes::{Listening, Subject};
use crate::shares::Waiting;
use crate::upstream::{UpstreamError, UpstreamRequest};

/// The pause before an order is read again that could not be.
const PAUSE: Duration = Duration::from_millis(100);

/// How long clients are still waited with once the gateway is told to stop. Less than a shutdown may take.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Most clients that wait at once. More are answered at once, as a preference allows.
const MOST_WAITING: usize = 512;

/// The places of those who wait.
pub(crate) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_WAITING)))
    }
}

/// A client that waits for its order to settle.
pub(crate) struct Wait {
    id: OrderId,
    time: Duration,
    /// It was accepted before, perhaps, and may have settled before.
    is_repeated: bool,
    listening: Listening,
    _of_caller: Waiting,
    _of_all: OwnedSemaphorePermit,
}

impl Wait {
    /// Waits from now on; not at all if too many do already, of this caller or of all.
    pub(crate) fn begin(
        gateway: &Gateway,
        caller: &Caller,
        id: OrderId,
        time: Duration,
        is_repeated: bool,
    ) -> Option<Self> {
        let of_caller = gateway.shares.wait(caller)?;
        let of_all = Arc::clone(&gateway.waits.0).try_acquire_owned().ok()?;
        let listening = gateway.changes.listen(Subject::Settlement(id));
        Some(Self { id, time, is_repeated, listening, _of_caller: of_caller, _of_all: of_all })
    }

    /// The order once it is no longer pending; none if that takes too long.
    pub(crate) async fn settled(self, gateway: &Gateway, correlation_id: &CorrelationId) -> Option<Order> {
        let last_call = async {
            gateway.stopping.cancelled().await;
            sleep(LAST_WAIT).await;
        };
        tokio::select! {
            order = timeout(self.time, self.read_until_settled(gateway, correlation_id)) => order.ok()?,
            () = last_call => None,
        }
    }

    async fn read_until_settled(&self, gateway: &Gateway, correlation_id: &CorrelationId) -> Option<Order> {
        if !self.is_repeated {
            self.listening.changed().await;
        }
        loop {
            let path = format!("/orders/{}", self.id);
            let request = UpstreamRequest::get("/orders/{id}", path, OwnerFilter::Any, correlation_id);
            match gateway.order.send(&request).await {
                Ok(response) => {
                    let is_found = response.status == StatusCode::OK;
                    let order =
                        is_found.then(|| serde_json::from_slice::<Order>(&response.body).ok()).flatten();
                    let settled = order.filter(|order| order.status != OrderStatus::PendingPayment);
                    if settled.is_some() {
                        return settled;
                    }
                    self.listening.changed().await;
                }
                Err(UpstreamError::Busy(_)) => return None,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
