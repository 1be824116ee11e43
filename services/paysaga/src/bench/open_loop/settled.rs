//! When each order settled, as the orders themselves say.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use contracts::{OrderId, OrderStatus, Timestamp};
use tokio::time::{Instant, sleep};

use super::sender::Sent;
use crate::bench::settlement::take_settled;
use crate::bench::totals::Totals;
use crate::bench::{BenchError, NotSettled};
use crate::gateway::Gateway;
use crate::progress::Progress;

/// How often the stack is asked whether all have settled. Each time costs it something.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

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
    before: &Totals,
    sent: &Sent,
    timeout: Duration,
    progress: &Progress,
) -> Result<HashMap<OrderId, Settled>, BenchError> {
    let bar = progress.bar("settled", sent.accepted.len() as u64);
    let deadline = Instant::now() + timeout;
    let mut open: BTreeSet<OrderId> = sent.accepted.iter().map(|accepted| accepted.order).collect();
    let mut settled = HashMap::with_capacity(open.len());
    loop {
        let read = async {
            // Those that others placed meanwhile are among them.
            let newest = Totals::read(gateway).await?.orders_since(before);
            take_settled(gateway, newest, &mut open, |order, status| {
                let (created_at, settled_at) = (order.created_at, order.updated_at);
                settled.insert(order.id, Settled { status, created_at, settled_at });
            })
            .await
        };
        let read = read.await;
        bar.set(settled.len() as u64);
        if open.is_empty() {
            return Ok(settled);
        }
        if Instant::now() >= deadline {
            return Err(NotSettled::of(&open, timeout, read.err()).into());
        }
        sleep(POLL_INTERVAL).await;
    }
}
