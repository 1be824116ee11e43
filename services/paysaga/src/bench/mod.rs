//! A running stack in numbers. All of one run, so that the ratio compares like with like.
//!
//! ```text
//! idle? ─▶ single orders ─▶ N orders one at a time ─▶ the same N orders, many at once ─▶ ratio
//! ```
//! Sent one at a time, a message meets an empty queue and has a transaction, a commit and a confirm to itself. Sent
//! many at once, messages share them. Both are equally durable: every order is on disk at each step before the next step
//! receives its message.

mod ceilings;
pub mod flood;
mod latency;
mod load;
pub mod open_loop;
mod reconciliation;
mod report;
mod settlement;
mod single;
mod table;
mod totals;
pub mod usage;

use std::time::Duration;

use contracts::PaymentStatus;
use contracts::money::InvalidMoney;
use contracts::order::CreateOrder;
use rand::RngExt;
use rand::seq::IndexedRandom;
use uuid::Uuid;

pub use ceilings::{Ceilings, CeilingsError};
pub use latency::Latencies;
pub use reconciliation::WrongTotals;
pub use report::{Ratio, Report, Single, Throughput};
pub use settlement::NotSettled;
pub use table::render;

use crate::forced_outcome::ForcedOutcome;
use crate::gateway::{Gateway, GatewayError};
use crate::progress::Progress;
use reconciliation::Growth;
use totals::Totals;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Orders that are sent one after the other, each only when the one before it has settled.
    pub single: u32,
    /// Orders that are sent for each of the two throughputs.
    pub orders: u32,
    /// Concurrent requests of the second throughput.
    pub concurrency: u32,
    /// What the provider is made to do, drawn at random for each order.
    pub kinds: Vec<ForcedOutcome>,
    /// How long the orders may take to settle after the last was accepted.
    pub timeout: Duration,
}

/// The measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The gateway is unavailable, or refuses the request.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A total is invalid.
    #[error("not a total: {0}")]
    Total(#[from] InvalidMoney),
    /// The stack is processing other payments.
    #[error("{0} payments are being processed already; the numbers would be theirs too")]
    Busy(u64),
    /// A single order did not settle in time.
    #[error("a single order did not settle within {} s", .0.as_secs())]
    Slow(Duration),
    /// The gateway accepted none of the orders.
    #[error("none of {orders} orders was accepted: {first}")]
    NoneAccepted {
        /// How many were sent.
        orders: u32,
        /// The first answer.
        first: GatewayError,
    },
    /// Accepted orders did not settle in time.
    #[error(transparent)]
    NotSettled(#[from] NotSettled),
    /// The stack's own totals contradict what was sent.
    #[error(transparent)]
    WrongTotals(#[from] WrongTotals),
}

/// Runs the measurement.
pub async fn run(gateway: &Gateway, plan: &Plan, progress: &Progress) -> Result<Report, BenchError> {
    wait_until_idle(gateway, progress).await?;
    let single = single::measure(gateway, plan.single, progress).await?;
    let orders = draw(plan)?;
    let one_at_a_time = throughput(gateway, plan, &orders, 1, progress).await?;
    let at_once = throughput(gateway, plan, &orders, plan.concurrency, progress).await?;
    Ok(Report { single, ratio: at_once.ratio_to(&one_at_a_time), one_at_a_time, at_once })
}

async fn wait_until_idle(gateway: &Gateway, progress: &Progress) -> Result<(), BenchError> {
    const ATTEMPTS: u32 = 30;
    let step = progress.step("idle");
    for _ in 0..ATTEMPTS {
        let processing = processing(gateway).await?;
        if processing == 0 {
            step.done("the stack has nothing to do");
            return Ok(());
        }
        step.waits_for(&format!("{processing} payments are being processed"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(BenchError::Busy(processing(gateway).await?))
}

async fn processing(gateway: &Gateway) -> Result<u64, GatewayError> {
    Ok(Totals::read(gateway).await?.payments_of(PaymentStatus::Processing))
}

/// The orders to send: of different customers, and with different totals, so that sums mean something.
fn draw(plan: &Plan) -> Result<Vec<CreateOrder>, InvalidMoney> {
    (0..plan.orders).map(|_| draw_one(&plan.kinds)).collect()
}

fn draw_one(kinds: &[ForcedOutcome]) -> Result<CreateOrder, InvalidMoney> {
    let mut random = rand::rng();
    let kind = kinds.choose(&mut random).copied().unwrap_or(ForcedOutcome::Approved);
    let total = kind.total(random.random_range(1..1000))?;
    Ok(CreateOrder { user_id: Uuid::new_v4().into(), total })
}

async fn throughput(
    gateway: &Gateway,
    plan: &Plan,
    orders: &[CreateOrder],
    concurrency: u32,
    progress: &Progress,
) -> Result<Throughput, BenchError> {
    let step = progress.step(&format!("{concurrency} at once"));
    let before = Totals::read(gateway).await?;
    let mut sent = load::send(gateway, orders, concurrency, progress).await;
    if sent.accepted.is_empty()
        && let Some(first) = sent.first_error.take()
    {
        return Err(BenchError::NoneAccepted { orders: plan.orders, first });
    }
    let settlement = settlement::watch(gateway, &sent, &before, plan.timeout, progress).await?;
    let growth = Growth { before, after: Totals::read(gateway).await? };
    let sums_are_exact = growth.is_what_was_sent(&sent, &settlement)?;
    let throughput = Throughput::of(concurrency, &sent, &settlement, sums_are_exact);
    step.done(&format!("{} orders", throughput.accepted));
    Ok(throughput)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_drawn_of_the_kinds_asked_for() {
        let plan = Plan {
            single: 1,
            orders: 200,
            concurrency: 1,
            kinds: vec![ForcedOutcome::Declined, ForcedOutcome::Failed],
            timeout: Duration::ZERO,
        };
        let cents: Vec<u32> = draw(&plan).unwrap().iter().map(|order| order.total.cents()).collect();
        assert_eq!(cents.len(), 200);
        assert!(cents.contains(&2) && cents.contains(&3) && cents.iter().all(|cents| [2, 3].contains(cents)));
    }
}
