//! Sends each order when it is due.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::order::CreateOrder;
use contracts::{OrderId, Timestamp};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use super::RatePlan;
use crate::gateway::{Gateway, Placing};
use crate::progress::Progress;

/// Requests that may wait for their answers, and orders that may wait until they are due. More than a stack that answers at
/// all lets wait.
const AT_ONCE: usize = 8192;

/// What the gateway answered.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Orders that were accepted.
    pub(super) accepted: Vec<Accepted>,
    /// Refused because too much was waiting, or because the broker took nothing. They are not sent again.
    pub(super) refused: u64,
    /// The other answers by status, `no answer` among them.
    pub(super) errors: BTreeMap<String, u64>,
}

/// An order that the gateway accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) order: OrderId,
    /// When it was due.
    pub(super) due: Timestamp,
    /// How long after that it was accepted.
    pub(super) after: Duration,
}

/// Sends all orders, and waits for all answers.
pub(super) async fn send(
    gateway: &Gateway,
    plan: &RatePlan,
    orders: &[CreateOrder],
    progress: &Progress,
) -> Sent {
    let bar = progress.bar("sent", orders.len() as u64);
    let (start, start_time) = (Instant::now(), Timestamp::now());
    let requests = stream::iter(orders.iter().enumerate()).map(async |(number, order)| {
        let due = plan.due(number);
        sleep_until(start + due).await;
        let answer = gateway.place(order, Placing::default()).await;
        (start_time + due, (start + due).elapsed(), answer)
    });
    let mut answers = Box::pin(requests.buffer_unordered(AT_ONCE));
    let mut sent = Sent::default();
    while let Some((due, after, answer)) = answers.next().await {
        match answer {
            Ok(placed) => sent.accepted.push(Accepted { order: placed.order_id, due, after }),
            Err(error) if error.is_unavailable() => sent.refused += 1,
            Err(error) => *sent.errors.entry(error.answer()).or_default() += 1,
        }
        bar.advance();
    }
    sent
}
