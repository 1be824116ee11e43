//! The results of a run at a rate.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use contracts::{OrderId, Timestamp};
use serde::Serialize;
use strum::Display;

use super::RatePlan;
use super::sender::{Accepted, Sent};
use super::settled::Settled;
use crate::bench::latency::{Latencies, milliseconds};
use crate::bench::usage::Usage;

/// A run at a rate, and of which stack: two are measured in turn.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Which stack.
    pub stack: MeasuredStack,
    /// What came of it.
    #[serde(flatten)]
    pub report: RateReport,
}

/// One of two stacks that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, Serialize)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "camelCase")]
pub enum MeasuredStack {
    /// The stack that is measured.
    This,
    /// The one that it is compared with.
    Other,
    /// The first once more, while another caller floods it.
    Flooded,
}

/// What came of a run at a rate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateReport {
    /// Orders that were due in a second.
    pub rate: f64,
    /// For how long they were sent.
    #[serde(rename = "durationMs", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// Orders that the gateway accepted. All of them settled.
    pub accepted: u64,
    /// Orders that were refused because too much was waiting.
    pub refused: u64,
    /// The other answers by status.
    pub errors: BTreeMap<String, u64>,
    /// From when an order was due to its acceptance.
    pub accept: Latencies,
    /// From when an order was due until it settled. Takes the clocks of this machine and of the order service's to agree.
    pub settle: Latencies,
    /// From the order service's first transaction to the one that settled the order, by its clock.
    pub saga: Latencies,
    /// How many orders settled with each status.
    pub statuses: BTreeMap<String, u64>,
    /// Accepted orders that had not settled when half of the time was over.
    pub backlog_at_half: u64,
    /// Accepted orders that had not settled when the last was due.
    pub backlog_at_end: u64,
    /// What each program of the stack used, from the first order until all had settled; empty if `paysaga up` of this machine did not start it.
    pub usage: BTreeMap<String, Usage>,
    /// Each second of it.
    pub timeline: Vec<Second>,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Orders that were due in it and were accepted.
    pub accepted: u64,
    /// Orders that settled in it.
    pub settled: u64,
    /// Accepted orders that had not settled at its end.
    pub backlog: u64,
    /// 99 % of the orders that were due in it settled within this time.
    #[serde(rename = "settleP99Ms", serialize_with = "milliseconds")]
    pub settle_p99: Duration,
}

/// What was seen.
pub(super) struct Measured {
    pub(super) sent: Sent,
    pub(super) settled: HashMap<OrderId, Settled>,
    pub(super) began: Timestamp,
    /// What the stack's programs had used when it began, and when all orders had settled.
    pub(super) before: BTreeMap<String, Usage>,
    pub(super) after: BTreeMap<String, Usage>,
}

impl RateReport {
    pub(super) fn of(plan: &RatePlan, measured: &Measured) -> Self {
        let Measured { sent, settled, began, before, after } = measured;
        let orders: Vec<(&Accepted, &Settled)> = sent
            .accepted
            .iter()
            .filter_map(|accepted| Some((accepted, settled.get(&accepted.order)?)))
            .collect();
        let mut statuses = BTreeMap::new();
        for (_, settled) in &orders {
            *statuses.entry(settled.status.to_string()).or_default() += 1;
        }
        let settle = orders.iter().map(|(accepted, settled)| between(accepted.due, settled.settled_at));
        let saga = orders.iter().map(|(_, settled)| between(settled.created_at, settled.settled_at));
        let used = after.iter().map(|(program, after)| {
            let before = before.get(program).copied().unwrap_or_default();
            (
                program.clone(),
                Usage { cpu_seconds: (after.cpu_seconds - before.cpu_seconds).max(0.0), ..*after },
            )
        });
        Self {
            rate: plan.rate,
            duration: plan.duration,
            accepted: sent.accepted.len() as u64,
            refused: sent.refused,
            errors: sent.errors.clone(),
            accept: Latencies::of(sent.accepted.iter().map(|accepted| accepted.after).collect()),
            settle: Latencies::of(settle.collect()),
            saga: Latencies::of(saga.collect()),
            statuses,
            backlog_at_half: backlog(&orders, *began + plan.duration / 2),
            backlog_at_end: backlog(&orders, *began + plan.duration),
            usage: used.collect(),
            timeline: timeline(&orders, *began),
        }
    }

    /// Processor time of all programs of the stack for each accepted order; `None` if the stack runs elsewhere.
    #[must_use]
    pub fn cpu_per_order(&self) -> Option<Duration> {
        let total: f64 = self.usage.values().map(|usage| usage.cpu_seconds).sum();
        (!self.usage.is_empty() && self.accepted > 0).then(|| Duration::from_secs_f64(total / self.orders()))
    }

    /// The accepted orders, to divide by.
    #[expect(clippy::cast_precision_loss, reason = "far fewer orders are sent")]
    pub(super) fn orders(&self) -> f64 {
        self.accepted as f64
    }
}

/// Orders that were accepted and had not settled at a moment.
fn backlog(orders: &[(&Accepted, &Settled)], at: Timestamp) -> u64 {
    let open = |(accepted, settled): &&(&Accepted, &Settled)| {
        accepted.due + accepted.after <= at && settled.settled_at > at
    };
    orders.iter().filter(open).count() as u64
}

fn timeline(orders: &[(&Accepted, &Settled)], began: Timestamp) -> Vec<Second> {
    let second = |at: Timestamp| usize::try_from(between(began, at).as_secs()).unwrap_or(usize::MAX);
    let Some(last) = orders.iter().map(|(_, settled)| second(settled.settled_at)).max() else {
        return vec![];
    };
    let mut seconds = vec![Second::default(); last + 1];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); last + 1];
    for (accepted, settled) in orders {
        let (due, end) = (second(accepted.due).min(last), second(settled.settled_at));
        seconds[due].accepted += 1;
        seconds[end].settled += 1;
        times[due].push(between(accepted.due, settled.settled_at));
    }
    let mut backlog = 0;
    for (second, times) in seconds.iter_mut().zip(times) {
        backlog = (backlog + second.accepted).saturating_sub(second.settled);
        second.backlog = backlog;
        second.settle_p99 = Latencies::of(times).p99;
    }
    seconds
}

/// Zero if the clocks disagree about which was first.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    (to.as_datetime() - from.as_datetime()).try_into().unwrap_or_default()
}
