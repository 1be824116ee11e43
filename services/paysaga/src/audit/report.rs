//! What an audit came to.

use contracts::topology::Service;
use contracts::{MoneyTotal, OrderId};
use serde::Serialize;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The invariant that does not hold, by its name in `docs/INVARIANTS.md`.
    pub invariant: &'static str,
    /// The order that it does not hold for, where it is about one.
    pub order_id: Option<OrderId>,
    /// How it does not hold.
    pub what: String,
}

impl Finding {
    /// A finding about no order in particular.
    pub fn general(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, order_id: None, what: what.into() }
    }
}

/// What an audit looked at, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Orders that were looked at.
    pub orders: u64,
    /// Of those, orders whose saga has come to its end.
    pub settled: u64,
    /// Of those, orders whose saga goes on and is not late.
    pub in_flight: u64,
    /// The totals of the PAID orders together.
    pub paid: MoneyTotal,
    /// What the provider charged and did not give back; absent where its books can't be read.
    pub held: Option<MoneyTotal>,
    /// Messages in the outboxes; absent where the databases were not read.
    pub outbox: Option<u64>,
    /// Failed messages that wait for somebody to decide; absent where nobody may tell.
    pub failed_messages: Option<u64>,
    /// Messages in the queues; absent where the broker was not asked.
    pub queued: Option<u64>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether every invariant holds.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds failed messages of a service that wait for somebody to decide.
    pub(super) fn add_failed_messages(&mut self, service: Service, count: u64) {
        *self.failed_messages.get_or_insert_default() += count;
        if count > 0 {
            let what =
                format!("{count} failed messages of {service} wait for a decision (paysaga failed list)");
            self.findings.push(Finding::general("no-dead-letters", what));
        }
    }
}
