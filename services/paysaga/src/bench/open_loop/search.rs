//! The highest rate that a stack sustains.

use std::time::Duration;

use serde::Serialize;

use super::{MeasuredStack, RatePlan, RateReport, run};
use crate::bench::BenchError;
use crate::bench::latency::milliseconds;
use crate::gateway::Gateway;
use crate::progress::Progress;

/// The first rate that is tried, in orders a second.
const FIRST: f64 = 100.0;

/// Rates that are this close together are not told apart, as a part of the lower one.
const RESOLUTION: f64 = 0.06;

/// How often a rate is tried before it counts as missed: where other machines share the processors, one run in some is slow
/// at any rate.
const ATTEMPTS: u32 = 2;

/// What a stack must do to sustain a rate.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// 99 % of the orders must settle within this time of being due.
    #[serde(rename = "settleP99Ms", serialize_with = "milliseconds")]
    pub settle_p99: Duration,
}

/// The rates that were tried, and the highest that was sustained.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    /// Which stack.
    pub stack: MeasuredStack,
    /// What it had to do.
    pub bound: Bound,
    /// The highest rate that it did; `None` if not even the first.
    pub sustained: Option<f64>,
    /// Every attempt, in the order in which they were made.
    pub runs: Vec<RateReport>,
}

impl Bound {
    /// Whether a run shows that the rate is sustained: nothing is refused, what waits does not grow, and 99 % settle in time.
    #[must_use]
    pub fn holds(self, report: &RateReport) -> bool {
        // As many as are under way at the rate when each takes as long as it may.
        let under_way = report.rate * self.settle_p99.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far fewer orders are sent")]
        let (half, end) = (report.backlog_at_half as f64, report.backlog_at_end as f64);
        report.refused == 0
            && report.errors.is_empty()
            && report.settle.p99 <= self.settle_p99
            && end <= half.max(under_way)
    }
}

impl Search {
    /// Whether the rate of a plan is sustained in one of its attempts.
    async fn attempt(
        &mut self,
        gateway: &Gateway,
        plan: &RatePlan,
        progress: &Progress,
    ) -> Result<bool, BenchError> {
        for _ in 0..ATTEMPTS {
            let report = run(gateway, plan, progress).await?;
            let holds = self.bound.holds(&report);
            self.runs.push(report);
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Doubles the rate until it is missed, then halves the distance until it is small.
pub async fn find_max(
    stack: MeasuredStack,
    gateway: &Gateway,
    plan: &RatePlan,
    bound: Bound,
    progress: &Progress,
) -> Result<Search, BenchError> {
    let mut search = Search { stack, bound, sustained: None, runs: Vec::new() };
    let mut missed: Option<f64> = None;
    while let Some(rate) = next(search.sustained, missed) {
        if search.attempt(gateway, &RatePlan { rate, ..plan.clone() }, progress).await? {
            search.sustained = Some(rate);
        } else {
            missed = Some(rate);
        }
    }
    Ok(search)
}

/// The rate to try next, given the highest that was sustained and the lowest that was not; `None` if they are close enough.
fn next(sustained: Option<f64>, missed: Option<f64>) -> Option<f64> {
    match (sustained, missed) {
        (None, None) => Some(FIRST),
        (Some(sustained), None) => Some(sustained * 2.0),
        (Some(sustained), Some(missed)) => {
            (missed > sustained * (1.0 + RESOLUTION)).then(|| f64::midpoint(sustained, missed))
        }
        // Lower rates would say little.
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found for a stack that sustains exactly `limit`, and in how many runs.
    fn search(limit: f64) -> (Option<f64>, u32) {
        let (mut sustained, mut missed, mut runs) = (None, None, 0);
        while let Some(rate) = next(sustained, missed) {
            if rate <= limit {
                sustained = Some(rate);
            } else {
                missed = Some(rate);
            }
            runs += 1;
        }
        (sustained, runs)
    }

    #[test]
    fn the_highest_rate_is_found_in_few_runs() {
        for limit in [100.0, 130.0, 640.0, 1777.0, 5000.0] {
            let (found, runs) = search(limit);
            let found = found.unwrap();
            assert!(found <= limit && limit <= found * (1.0 + RESOLUTION) + 0.1, "{limit}: {found}");
            assert!(runs <= 12, "{limit}: {runs}");
        }
        assert_eq!(search(50.0), (None, 1));
    }
}
