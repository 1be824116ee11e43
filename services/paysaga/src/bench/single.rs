//! Single orders on an idle stack.

use std::time::Duration;

use contracts::order::{CreateOrder, Order};
use tokio::time::Instant;
use uuid::Uuid;

use super::BenchError;
use super::latency::Latencies;
use super::report::Single;
use crate::forced_outcome::ForcedOutcome;
use crate::gateway::{Gateway, Placing};
use crate::progress::Progress;

/// The longest that a gateway waits for an order.
const WAIT: Duration = Duration::from_secs(30);

/// Places orders one after the other, each when the one before it has settled.
pub(super) async fn measure(
    gateway: &Gateway,
    count: u32,
    progress: &Progress,
) -> Result<Single, BenchError> {
    let step = progress.step("single");
    let bar = progress.bar("single orders", count.into());
    let (mut seen, mut saga) = (Vec::new(), Vec::new());
    // The first is not measured: it opens the connections.
    settle_one(gateway).await?;
    for _ in 0..count {
        let sent = Instant::now();
        let order = settle_one(gateway).await?;
        seen.push(sent.elapsed());
        saga.push((order.updated_at.as_datetime() - order.created_at.as_datetime()).unsigned_abs());
        bar.advance();
    }
    step.done(&format!("{count} orders"));
    Ok(Single { orders: count, seen: Latencies::of(seen), saga: Latencies::of(saga) })
}

async fn settle_one(gateway: &Gateway) -> Result<Order, BenchError> {
    let order = CreateOrder { user_id: Uuid::new_v4().into(), total: ForcedOutcome::Approved.total(1)? };
    let placed = gateway.place(&order, Placing { wait: Some(WAIT), ..Placing::default() }).await?;
    placed.settled.ok_or(BenchError::Slow(WAIT))
}
