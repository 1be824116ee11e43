//! Waiting until every accepted order is final.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use contracts::page::PageRequest;
use contracts::{OrderId, OrderStatus};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::load::Sent;
use super::totals::Totals;
use crate::gateway::{Gateway, GatewayError, Paging};
use crate::progress::Progress;

/// How often the stack is looked at.
const INTERVAL: Duration = Duration::from_millis(25);
/// Pages of the order list that are read at once.
const PAGES_AT_ONCE: usize = 4;

/// Every accepted order is final.
#[derive(Debug)]
pub(super) struct Settlement {
    /// From the first request to the moment when that was seen.
    pub(super) took: Duration,
    /// How long before that moment it was seen that they were not all final: so much too long is `took` at most.
    pub(super) late: Duration,
    /// How many ended how.
    pub(super) statuses: HashMap<OrderStatus, u64>,
}

/// Accepted orders that did not end.
#[derive(Debug, thiserror::Error)]
#[error("{number} accepted orders are not final {} s after the last was accepted: {examples}{}", .patience.as_secs(), because(.trouble.as_ref()))]
pub struct NotFinal {
    number: usize,
    examples: String,
    patience: Duration,
    trouble: Option<GatewayError>,
}

/// Watches until every accepted order is final.
///
/// The payments' sums tell cheaply when it is worth a look at the orders themselves; those are then read from the
/// list, newest first, and found one by one.
pub(super) async fn watch(
    gateway: &Gateway,
    sent: &Sent,
    before: &Totals,
    patience: Duration,
    progress: &Progress,
) -> Result<Settlement, NotFinal> {
    let bar = progress.bar("settled", sent.accepted.len() as u64);
    let mut last_unsettled = sent.began + sent.took;
    let deadline = last_unsettled + patience;
    let mut open: BTreeSet<OrderId> = sent.accepted.iter().copied().collect();
    let mut statuses = HashMap::new();
    loop {
        let now = Instant::now();
        let looked = async {
            let totals = Totals::read(gateway).await?;
            let concluded = totals.concluded_since(before);
            bar.set(concluded);
            if concluded >= sent.accepted.len() as u64 || now >= deadline {
                strike_off_final_orders(gateway, totals.orders_since(before), &mut open, &mut statuses)
                    .await?;
            }
            Ok(())
        };
        let looked = looked.await;
        if open.is_empty() {
            let seen = Instant::now();
            return Ok(Settlement { took: seen - sent.began, late: seen - last_unsettled, statuses });
        }
        if now >= deadline {
            return Err(not_final(&open, patience, looked.err()));
        }
        last_unsettled = now;
        sleep(INTERVAL).await;
    }
}

/// Reads the newest orders, so many, and takes those that are final out of `open`.
async fn strike_off_final_orders(
    gateway: &Gateway,
    newest: u64,
    open: &mut BTreeSet<OrderId>,
    statuses: &mut HashMap<OrderStatus, u64>,
) -> Result<(), GatewayError> {
    let pages = (1..=newest.div_ceil(PageRequest::MAX_LIMIT.into())).map(Paging::largest);
    let mut read =
        Box::pin(stream::iter(pages).map(|page| gateway.orders(page)).buffer_unordered(PAGES_AT_ONCE));
    while let Some(page) = read.try_next().await? {
        for order in page.data {
            // PAID is where an order stays unless the customer cancels it, and nobody does here.
            if order.status != OrderStatus::PendingPayment && open.remove(&order.id) {
                *statuses.entry(order.status).or_default() += 1;
            }
        }
    }
    Ok(())
}

fn not_final(open: &BTreeSet<OrderId>, patience: Duration, trouble: Option<GatewayError>) -> NotFinal {
    let examples: Vec<String> = open.iter().take(3).map(ToString::to_string).collect();
    let more = if open.len() > examples.len() { ", …" } else { "" };
    NotFinal { number: open.len(), examples: examples.join(", ") + more, patience, trouble }
}

fn because(trouble: Option<&GatewayError>) -> String {
    trouble.map_or_else(String::new, |trouble| format!("; at last {trouble}"))
}
