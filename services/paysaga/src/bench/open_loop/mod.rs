//! Orders at a given rate, whatever becomes of them: what customers who know nothing of each other do.
//!
//! ```text
//! schedule ─ an order when it is due, answered or not ─▶ gateway
//!     └─ afterwards: when each order settled ─▶ latencies, backlog and processor time of the run
//! ```
//! Times are counted from the moment when an order was due, not from when it could be sent: a stack that is slow does not
//! get fewer orders for that, nor are those that it kept waiting left out (coordinated omission).

mod chart;
mod report;
mod search;
mod sender;
mod settled;
mod table;

use std::time::Duration;

use contracts::Timestamp;
use contracts::order::CreateOrder;

pub use chart::chart;
pub use report::{MeasuredStack, RateReport, Run};
pub use search::{Bound, Search, find_max};
pub use table::{render, render_searches};

use super::totals::Totals;
use super::usage::StackProcesses;
use super::{BenchError, draw_one, wait_until_idle};
use crate::forced_outcome::ForcedOutcome;
use crate::gateway::Gateway;
use crate::progress::Progress;
use report::Measured;

/// What is sent.
#[derive(Clone, Debug)]
pub struct RatePlan {
    /// Orders a second.
    pub rate: f64,
    /// For how long.
    pub duration: Duration,
    /// What the provider is made to do, drawn at random for each order.
    pub kinds: Vec<ForcedOutcome>,
    /// How long the orders may take to settle after the last was sent.
    pub timeout: Duration,
}

impl RatePlan {
    /// How many orders are sent.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a number that can be sent"
    )]
    pub fn orders(&self) -> usize {
        (self.rate * self.duration.as_secs_f64()).round() as usize
    }

    /// When an order is due, from the first.
    #[expect(clippy::cast_precision_loss, reason = "far fewer orders are sent")]
    fn due(&self, number: usize) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }
}

/// Sends orders at a rate, waits until all that were accepted have settled, and says how that went.
pub async fn run(gateway: &Gateway, plan: &RatePlan, progress: &Progress) -> Result<RateReport, BenchError> {
    wait_until_idle(gateway, progress).await?;
    let step = progress.step(&format!("{:.0}/s", plan.rate));
    let orders: Vec<CreateOrder> =
        (0..plan.orders()).map(|_| draw_one(&plan.kinds)).collect::<Result<_, _>>()?;
    let processes = gateway.local_port().and_then(StackProcesses::of_gateway);
    let usage = || processes.map(StackProcesses::usage).unwrap_or_default();
    let totals = Totals::read(gateway).await?;
    let (began, before) = (Timestamp::now(), usage());
    let sent = sender::send(gateway, plan, &orders, progress).await;
    // Reading the orders costs the stack more than asking how many there are.
    settled::concluded(gateway, &totals, &sent, plan.timeout).await?;
    let after = usage();
    let settled = settled::wait(gateway, &totals, &sent, plan.timeout, progress).await?;
    let report = RateReport::of(plan, &Measured { sent, settled, began, before, after });
    step.done(&format!("{} orders", report.accepted));
    Ok(report)
}
