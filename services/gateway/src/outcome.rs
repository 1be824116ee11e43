//! `Prefer: wait`: a client that is answered once its order has settled.
//!
//! The order service keeps the request until the order has settled (`GET /orders/{id}?wait=…`), so waiting costs a connection
//! and no polling. It is asked for less than `REQUEST_TIMEOUT` at a time: a service that has vanished is then noticed, and the
//! next one is asked, within the client's time.

use std::time::{Duration, Instant};

use ::http::StatusCode;
use chassis::http::{Caller, CorrelationId};
use contracts::order::Order;
use contracts::{OrderId, OrderStatus, OwnerFilter};
use tokio::time::sleep;

use crate::Gateway;
use crate::bulkhead::Kind;
use crate::upstream::{UpstreamError, UpstreamRequest};

/// The pause before the order service is asked again after an answer that came early: it is away or stopping, or it is
/// another implementation, which does not know how to wait.
const PAUSE: Duration = Duration::from_millis(100);

/// How long clients are still waited with once the gateway is told to stop. Less than a shutdown may take.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The order once it is no longer pending; none if that takes longer than `time`, or too many wait
/// already, of this caller or of all.
pub(crate) async fn wait(
    gateway: &Gateway,
    caller: &Caller,
    id: OrderId,
    time: Duration,
    correlation_id: &CorrelationId,
) -> Option<Order> {
    let _place = gateway.shares.wait(caller)?;
    let last_call = async {
        gateway.stopping.cancelled().await;
        sleep(LAST_WAIT).await;
    };
    tokio::select! {
        order = ask_until(gateway, id, Instant::now() + time, correlation_id) => order,
        () = last_call => None,
    }
}

async fn ask_until(
    gateway: &Gateway,
    id: OrderId,
    deadline: Instant,
    correlation_id: &CorrelationId,
) -> Option<Order> {
    // The rest is for the answer's way.
    let longest = gateway.order.timeout() * 4 / 5;
    loop {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            return None;
        }
        let wait = left.min(longest);
        let path = format!("/orders/{id}?wait={}", wait.as_millis());
        let request = UpstreamRequest {
            kind: Kind::Wait,
            ..UpstreamRequest::get("/orders/{id}", path, OwnerFilter::Any, correlation_id)
        };
        match gateway.order.send(&request).await {
            Ok(response) if response.status == StatusCode::OK => {
                let order = serde_json::from_slice::<Order>(&response.body).ok();
                let settled = order.filter(|order| order.status != OrderStatus::PendingPayment);
                if settled.is_some() {
                    return settled;
                }
            }
            Err(UpstreamError::Busy(_)) => return None,
            Ok(_) | Err(_) => {}
        }
        if now.elapsed() < wait {
            sleep(PAUSE.min(left)).await;
        }
    }
}
