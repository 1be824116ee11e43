//! Waiting until every accepted order has settled.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use contracts::order::Order;
use contracts::page::PageRequest;
use contracts::{OrderId, OrderStatus, Word};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::load::Sent;
use super::totals::Totals;
use crate::gateway::{Gateway, GatewayError, Paging};
use crate::progress::Progress;

/// How often the stack is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Pages of the order list that are read at once.
const PAGES_AT_ONCE: usize = 4;

/// Every accepted order has settled.
#[derive(Debug)]
pub(super) struct Settlement {
    /// From the first request to the moment when that was seen.
    pub(super) took: Duration,
    /// By how much `took` is too long at most: the time since it was last seen that some had not settled.
    pub(super) late: Duration,
    /// How many settled with each status.
    pub(super) statuses: HashMap<OrderStatus, u64>,
}

/// Accepted orders did not settle in time.
#[derive(Debug, thiserror::Error)]
#[error("{number} accepted orders have not settled {} s after the last was accepted: {examples}{}", .timeout.as_secs(), with_last_error(.last_error.as_ref()))]
pub struct NotSettled {
    number: usize,
    examples: String,
    timeout: Duration,
    last_error: Option<GatewayError>,
}

/// Waits until every accepted order has settled.
///
/// The payments' totals show cheaply when it is worth reading the orders themselves; those are then read from the list,
/// newest first.
pub(super) async fn watch(
    gateway: &Gateway,
    sent: &Sent,
    before: &Totals,
    timeout: Duration,
    progress: &Progress,
) -> Result<Settlement, NotSettled> {
    let bar = progress.bar("settled", sent.accepted.len() as u64);
    let mut last_unsettled = sent.began + sent.took;
    let deadline = last_unsettled + timeout;
    let mut open: BTreeSet<OrderId> = sent.accepted.iter().copied().collect();
    let mut statuses = HashMap::new();
    loop {
        let now = Instant::now();
        let read = async {
            let totals = Totals::read(gateway).await?;
            let concluded = totals.concluded_since(before);
            bar.set(concluded);
            if concluded >= sent.accepted.len() as u64 || now >= deadline {
                take_settled(gateway, totals.orders_since(before), &mut open, |_, status| {
                    *statuses.entry(status).or_default() += 1;
                })
                .await?;
            }
            Ok(())
        };
        let read = read.await;
        if open.is_empty() {
            let seen = Instant::now();
            return Ok(Settlement { took: seen - sent.began, late: seen - last_unsettled, statuses });
        }
        if now >= deadline {
            return Err(NotSettled::of(&open, timeout, read.err()));
        }
        last_unsettled = now;
        sleep(POLL_INTERVAL).await;
    }
}

/// Reads that many of the newest orders, until all of `open` have been found settled, and takes those out of it.
pub(super) async fn take_settled(
    gateway: &Gateway,
    newest: u64,
    open: &mut BTreeSet<OrderId>,
    mut settled: impl FnMut(&Order<Word, Word>, OrderStatus),
) -> Result<(), GatewayError> {
    let pages = (1..=newest.div_ceil(PageRequest::MAX_LIMIT.into())).map(Paging::largest);
    let mut read =
        Box::pin(stream::iter(pages).map(|page| gateway.orders(page)).buffer_unordered(PAGES_AT_ONCE));
    while !open.is_empty()
        && let Some(page) = read.try_next().await?
    {
        for order in page.data {
            // An order stays PAID unless the customer cancels it, and these are not cancelled.
            if let Ok(status) = order.status.parse()
                && status != OrderStatus::PendingPayment
                && open.remove(&order.id)
            {
                settled(&order, status);
            }
        }
    }
    Ok(())
}

impl NotSettled {
    /// Names some of the `open` orders.
    pub(super) fn of(open: &BTreeSet<OrderId>, timeout: Duration, last_error: Option<GatewayError>) -> Self {
        let examples: Vec<String> = open.iter().take(3).map(ToString::to_string).collect();
        let more = if open.len() > examples.len() { ", …" } else { "" };
        Self { number: open.len(), examples: examples.join(", ") + more, timeout, last_error }
    }
}

fn with_last_error(error: Option<&GatewayError>) -> String {
    error.map_or_else(String::new, |error| format!("; the last request failed: {error}"))
}
