//! Many orders, with a fixed number of concurrent requests.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::order::CreateOrder;
use contracts::{MoneyTotal, OrderId};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::gateway::{Gateway, GatewayError, Placing};
use crate::progress::Progress;

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
    /// The time that each of their requests took.
    pub(super) latencies: Vec<Duration>,
    /// The other answers by status, `no answer` among them.
    pub(super) errors: BTreeMap<String, u64>,
    /// One of those in full.
    pub(super) first_error: Option<GatewayError>,
}

/// Sends all orders. The next one is sent as soon as one of `concurrency` is answered.
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
        latencies: Vec::with_capacity(orders.len()),
        errors: BTreeMap::new(),
        first_error: None,
    };
    let requests = stream::iter(orders).map(async |order| {
        let began = Instant::now();
        let answer = gateway.place(order, Placing::default()).await;
        (order, answer, began.elapsed())
    });
    let mut answers = Box::pin(requests.buffer_unordered(concurrency as usize));
    while let Some((order, answer, latency)) = answers.next().await {
        match answer {
            Ok(placed) => {
                sent.accepted.push(placed.order_id);
                sent.amount = sent.amount.and_then(|amount| amount.checked_add(order.total));
                sent.latencies.push(latency);
            }
            Err(error) => {
                let answer =
                    error.status().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                *sent.errors.entry(answer).or_default() += 1;
                sent.first_error.get_or_insert(error);
            }
        }
        bar.advance();
    }
    sent.took = began.elapsed();
    sent
}
