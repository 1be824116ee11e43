//! `GET /overview` of the order and payment services, and of the gateway, which has both: what operators look at first.
//!
//! Every replica adds what it counted to its service's database every ten seconds, so an overview is of all replicas and survives
//! their restarts. What can't be told now is absent, never 0.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::books::BooksSummary;

/// Seconds that a sample stands for.
pub const SAMPLE_SECONDS: u32 = 10;

/// How many samples an overview has at most: those of an hour.
pub const MAX_SAMPLES: usize = 360;

/// What the gateway knows of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// When it was asked for.
    pub at: Timestamp,
    /// The order service's; absent while that does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderOverview>,
    /// The payment service's; absent while that does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentOverview>,
    /// The books; absent while the order service, which keeps them, does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books: Option<BooksSummary>,
}

/// What every service has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Replicas that have added a sample within the last 30 seconds.
    pub replicas: u32,
    /// Events that are committed and not known to be on the broker: exact up to 10 000.
    pub outbox: u64,
    /// Seconds since the oldest of those was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox_oldest_seconds: Option<u64>,
    /// The queues that it consumes; empty while the broker does not answer about all of them.
    pub queues: Vec<QueueLength>,
    /// Failed messages that wait for a decision.
    pub failed_messages: u64,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct QueueLength {
    /// Its name.
    pub queue: String,
    /// Messages that are ready to be delivered.
    pub messages: u64,
    /// Consumers.
    pub consumers: u64,
}

/// The order service's overview.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderOverview {
    /// What waits.
    pub waiting: Waiting,
    /// Orders that are `PENDING_PAYMENT`.
    pub pending: u64,
    /// When the oldest of those was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending: Option<Timestamp>,
    /// Pending orders that are past the saga's deadline.
    pub overdue: u64,
    /// Samples of the last hour, the oldest first. One is missing where no replica counted.
    pub samples: Vec<OrderSample>,
}

impl OrderOverview {
    /// The last sample whose ten seconds were over at that time; `None` while no replica adds any.
    #[must_use]
    pub fn last_whole(&self, at: Timestamp) -> Option<&OrderSample> {
        last_whole(&self.waiting, &self.samples, |sample| sample.at, at)
    }
}

/// What happened to orders in ten seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderSample {
    /// When the ten seconds began.
    pub at: Timestamp,
    /// Orders that were placed.
    pub placed: u64,
    /// Orders that became `PAID`.
    pub paid: u64,
    /// Orders that became `CANCELLED`.
    pub cancelled: u64,
    /// Orders that became `FAILED`.
    pub failed: u64,
    /// Half of those that settled had been placed no more than so many milliseconds before. Exact within 10 %, as are the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_p50_ms: Option<u64>,
    /// 99 in 100 of those that settled had been placed no more than so many milliseconds before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_p99_ms: Option<u64>,
    /// Orders that were `PENDING_PAYMENT`, as all that follows measured within half a minute before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u64>,
    /// Events in the outbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<u64>,
    /// Messages in the queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// Failed messages that waited for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_messages: Option<u64>,
}

impl OrderSample {
    /// Orders that came to their end.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.paid + self.cancelled + self.failed
    }
}

/// The payment service's overview.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentOverview {
    /// What waits.
    pub waiting: Waiting,
    /// Replicas whose breaker was open when they added their last sample: they don't ask the provider, since it does not answer.
    /// Absent while none has added one within the last 30 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakers_open: Option<u32>,
    /// Payments that wait for an answer that the provider did not give.
    pub unknown: u64,
    /// Steps that are due and not taken: exact up to 10 000.
    pub due: u64,
    /// Refunds that the provider refused and that wait for a decision.
    pub refused_refunds: u64,
    /// Samples of the last hour, the oldest first. One is missing where no replica counted.
    pub samples: Vec<PaymentSample>,
}

impl PaymentOverview {
    /// The last sample whose ten seconds were over at that time; `None` while no replica adds any.
    #[must_use]
    pub fn last_whole(&self, at: Timestamp) -> Option<&PaymentSample> {
        last_whole(&self.waiting, &self.samples, |sample| sample.at, at)
    }
}

/// What happened to payments in ten seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentSample {
    /// When the ten seconds began.
    pub at: Timestamp,
    /// Calls that the provider answered.
    pub answered: u64,
    /// Calls that it did not answer.
    pub unanswered: u64,
    /// Half of the answers took no more than so many milliseconds. Exact within 10 %, as are the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_p50_ms: Option<u64>,
    /// 99 in 100 of the answers took no more than so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_p99_ms: Option<u64>,
    /// Payments that waited for an answer that the provider did not give, as all that follows measured within half a
    /// minute before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u64>,
    /// Events in the outbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<u64>,
    /// Messages in the queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// Failed messages that waited for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_messages: Option<u64>,
}

/// A replica that stops adds a sample before its ten seconds are over: such a one says too little about a rate.
fn last_whole<'a, T>(
    waiting: &Waiting,
    samples: &'a [T],
    began: fn(&T) -> Timestamp,
    at: Timestamp,
) -> Option<&'a T> {
    let length = Duration::from_secs(SAMPLE_SECONDS.into());
    let is_over = |sample: &&T| began(sample).checked_add(length).is_some_and(|end| end <= at);
    samples.iter().rfind(is_over).filter(|_| waiting.replicas > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-02T03:04:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn a_rate_is_that_of_ten_seconds_that_are_over() {
        let began = |second: &Timestamp| *second;
        let samples = [at(10), at(20), at(30)];
        let waiting = Waiting { replicas: 1, ..Waiting::default() };
        assert_eq!(last_whole(&waiting, &samples, began, at(39)), Some(&at(20)));
        assert_eq!(last_whole(&waiting, &samples, began, at(40)), Some(&at(30)));
        assert_eq!(last_whole(&waiting, &samples, began, at(19)), None);
        assert_eq!(last_whole(&Waiting::default(), &samples, began, at(40)), None, "none adds samples");
    }
}
