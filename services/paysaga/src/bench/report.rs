//! The results of a measurement.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::latency::{Latencies, milliseconds};
use super::load::Sent;
use super::settlement::Settlement;

/// All results of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Single orders on the idle stack.
    pub single: Single,
    /// Many orders, one request at a time.
    pub one_at_a_time: Throughput,
    /// The same orders, many requests at once.
    pub at_once: Throughput,
    /// The latter divided by the former.
    pub ratio: Ratio,
}

/// Single orders on an idle stack, one after the other.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Single {
    /// How many.
    pub orders: u32,
    /// From the request to the settled order in the answer (`Prefer: wait`).
    pub seen: Latencies,
    /// From the order service's first transaction to the one that settled the order, by its database's clock.
    pub saga: Latencies,
}

/// Many orders.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// Concurrent requests.
    pub concurrency: u32,
    /// Orders that were sent.
    pub sent: u64,
    /// Orders that the gateway accepted. All of them settled.
    pub accepted: u64,
    /// Requests that were refused because too much was waiting, and sent again.
    pub refused: u64,
    /// The other answers by status.
    pub errors: BTreeMap<String, u64>,
    /// One of those in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Accepted orders by the time from the first request to the last answer.
    pub accepted_per_second: f64,
    /// Accepted orders by the time from the first request until all were seen to have settled.
    pub settled_per_second: f64,
    /// From request to answer, of the accepted orders.
    pub accept: Latencies,
    /// From the first request until all were seen to have settled.
    #[serde(rename = "settledAfterMs", serialize_with = "milliseconds")]
    pub settled_after: Duration,
    /// By how much that is too long at most.
    #[serde(rename = "seenLateMs", serialize_with = "milliseconds")]
    pub seen_late: Duration,
    /// How many orders settled with each status.
    pub statuses: BTreeMap<String, u64>,
    /// Whether the stack's own totals grew by exactly what was sent. False if they could not be compared: others placed
    /// orders too, or a request that got an error was accepted after all.
    pub sums_are_exact: bool,
}

/// How much faster many at once are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ratio {
    /// By accepted orders a second.
    pub accepted: f64,
    /// By settled orders a second.
    pub settled: f64,
}

impl Throughput {
    pub(super) fn of(concurrency: u32, sent: &Sent, settlement: &Settlement, sums_are_exact: bool) -> Self {
        let accepted = sent.accepted.len() as u64;
        let statuses = settlement.statuses.iter().map(|(status, count)| (status.to_string(), *count));
        Self {
            concurrency,
            sent: accepted + sent.errors.values().sum::<u64>(),
            accepted,
            refused: sent.refused,
            errors: sent.errors.clone(),
            first_error: sent.first_error.as_ref().map(ToString::to_string),
            accepted_per_second: per_second(accepted, sent.took),
            settled_per_second: per_second(accepted, settlement.took),
            accept: Latencies::of(sent.latencies.clone()),
            settled_after: settlement.took,
            seen_late: settlement.late,
            statuses: statuses.collect(),
            sums_are_exact,
        }
    }

    /// How many times as fast as `other` this is.
    pub(super) fn ratio_to(&self, other: &Self) -> Ratio {
        Ratio {
            accepted: self.accepted_per_second / other.accepted_per_second,
            settled: self.settled_per_second / other.settled_per_second,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "orders are counted in millions at most")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
