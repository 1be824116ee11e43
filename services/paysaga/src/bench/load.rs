//! Many orders, with a fixed number of concurrent requests.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::order::CreateOrder;
use contracts::{MoneyTotal, OrderId};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::gateway::{Gateway, GatewayError, Placing};
use crate::progress::Progress;

/// How long an order is sent again after refusals.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time before an order is sent again. Clients of a shop wait for as long as `Retry-After` says; a measurement keeps the
/// stack as busy as it lets itself be kept.
const PAUSE: Duration = Duration::from_millis(50);

/// The results of the requests.
#[derive(Debug)]
pub(super) struct Sent {
    /// When the first was sent.
    pub(super) began: Instant,
    /// From the first request to the last answer.
    pub(super) took: Duration,
    /// Orders that the gateway accepted.
    pub(super) accepted: Vec<OrderId>,
    /// The sum of their totals; `None` is more than can be counted.
    pub(super) amount: Option<MoneyTotal>,
    /// Requests that were refused because too much was waiting, and sent again.
    pub(super) refused: u64,
    /// The time that each request took that was accepted.
    pub(super) latencies: Vec<Duration>,
    /// The other answers by status, `no answer` among them.
    pub(super) errors: BTreeMap<String, u64>,
    /// One of those in full.
    pub(super) first_error: Option<GatewayError>,
}

/// Sends all orders, those that are refused again and again. The next one is sent as soon as one of `concurrency` is answered.
pub(super) async fn send(
    gateway: &Gateway,
    orders: &[CreateOrder],
    concurrency: u32,
    progress: &Progress,
) -> Sent {
    let bar = progress.bar("accepted", orders.len() as u64);
    let began = Instant::now();
    let mut sent = Sent {
        began,
        took: Duration::ZERO,
        accepted: Vec::with_capacity(orders.len()),
        amount: Some(MoneyTotal::ZERO),
        refused: 0,
        latencies: Vec::with_capacity(orders.len()),
        errors: BTreeMap::new(),
        first_error: None,
    };
    let requests = stream::iter(orders).map(async |order| {
        let first = Instant::now();
        let mut refused = 0;
        loop {
            let began = Instant::now();
            let answer = gateway.place(order, Placing::default()).await;
            let is_refusal = answer.as_ref().is_err_and(GatewayError::is_unavailable);
            if !is_refusal || first.elapsed() > PATIENCE {
                return (order, answer, began.elapsed(), refused);
            }
            refused += 1;
            tokio::time::sleep(PAUSE).await;
        }
    });
    let mut answers = Box::pin(requests.buffer_unordered(concurrency as usize));
    while let Some((order, answer, latency, refused)) = answers.next().await {
        sent.refused += refused;
        match answer {
            Ok(placed) => {
                sent.accepted.push(placed.order_id);
                sent.amount = sent.amount.and_then(|amount| amount.checked_add(order.total));
                sent.latencies.push(latency);
            }
            Err(error) => {
                *sent.errors.entry(error.answer()).or_default() += 1;
                sent.first_error.get_or_insert(error);
            }
        }
        bar.advance();
    }
    sent.took = began.elapsed();
    sent
}
