//! When each order settled, as the orders themselves say.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use contracts::page::PageRequest;
use contracts::{OrderId, OrderStatus, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::sender::Sent;
use crate::bench::totals::Totals;
use crate::bench::{BenchError, NotSettled};
use crate::gateway::{Gateway, GatewayError, Paging};
use crate::progress::Progress;

/// How often the stack is asked whether all have settled. Each time costs it something.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Pages of the order list that are read at once.
const PAGES_AT_ONCE: usize = 4;

/// An order that has settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) status: OrderStatus,
    /// When the order service wrote it down, and when it settled, by that service's clock.
    pub(super) created_at: Timestamp,
    pub(super) settled_at: Timestamp,
}

/// Waits until as many payments have come to their outcome as orders were accepted, or until that takes too long.
pub(super) async fn concluded(
    gateway: &Gateway,
    before: &Totals,
    sent: &Sent,
    timeout: Duration,
) -> Result<(), BenchError> {
    let deadline = Instant::now() + timeout;
    while Totals::read(gateway).await?.concluded_since(before) < sent.accepted.len() as u64
        && Instant::now() < deadline
    {
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Waits until all accepted orders have settled.
pub(super) async fn wait(
    gateway: &Gateway,
    sent: &Sent,
    timeout: Duration,
    progress: &Progress,
) -> Result<HashMap<OrderId, Settled>, BenchError> {
    let bar = progress.bar("settled", sent.accepted.len() as u64);
    let deadline = Instant::now() + timeout;
    let mut open: HashSet<OrderId> = sent.accepted.iter().map(|accepted| accepted.order).collect();
    let mut settled = HashMap::with_capacity(open.len());
    loop {
        let read = remove_settled(gateway, &mut open, &mut settled).await;
        bar.set(settled.len() as u64);
        if open.is_empty() {
            return Ok(settled);
        }
        if Instant::now() >= deadline {
            return Err(NotSettled::of(open.iter(), timeout, read.err()).into());
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Reads the newest orders, page by page, until none of them is ours, and moves those that have settled.
async fn remove_settled(
    gateway: &Gateway,
    open: &mut HashSet<OrderId>,
    settled: &mut HashMap<OrderId, Settled>,
) -> Result<(), GatewayError> {
    let all = (open.len() + settled.len()) as u64;
    // Orders that others place push ours to later pages: they are read the next time.
    let pages = (1..=all.div_ceil(PageRequest::MAX_LIMIT.into())).map(Paging::largest);
    let mut read = Box::pin(stream::iter(pages).map(|page| gateway.orders(page)).buffered(PAGES_AT_ONCE));
    while !open.is_empty()
        && let Some(page) = read.try_next().await?
    {
        for order in page.data {
            if let Ok(status) = order.status.parse::<OrderStatus>()
                && status != OrderStatus::PendingPayment
                && open.remove(&order.id)
            {
                let (created_at, settled_at) = (order.created_at, order.updated_at);
                settled.insert(order.id, Settled { status, created_at, settled_at });
            }
        }
    }
    Ok(())
}
