//! The result of an audit.

use contracts::audit_chain::ChainHead;
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

/// What an audit looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Orders that were looked at.
    pub orders: u64,
    /// Of those, orders that have settled.
    pub settled: u64,
    /// Of those, orders that have not settled and are not late.
    pub in_flight: u64,
    /// The sum of the PAID orders' totals.
    pub paid: MoneyTotal,
    /// What the provider charged and neither it nor an operator gave back; absent where its books were not read.
    pub held: Option<MoneyTotal>,
    /// Messages in the outboxes; absent where the databases were not read.
    pub outbox: Option<u64>,
    /// Failed messages that wait for an operator's decision; absent where the caller may not see them.
    pub failed_messages: Option<u64>,
    /// Refunds that the provider refused for good and that wait for an operator's decision; absent where the caller may not
    /// see them.
    pub refused_refunds: Option<u64>,
    /// Rows with a status, a step or an event type of a newer version, which was here before this one was put back. They are
    /// left alone, and not judged.
    pub newer_rows: u64,
    /// Messages in the queues; absent where the broker was not asked.
    pub queued: Option<u64>,
    /// The end of the audit's chain, as far as it is whole; absent where the order database was not read.
    pub audit_head: Option<ChainHead>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether every invariant holds.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a service's failed messages that wait for an operator's decision.
    pub(super) fn add_failed_messages(&mut self, service: Service, count: u64) {
        *self.failed_messages.get_or_insert_default() += count;
        if count > 0 {
            let what =
                format!("{count} failed messages of {service} wait for a decision (paysaga failed list)");
            self.findings.push(Finding::general("no-dead-letters", what));
        }
    }

    /// Adds refunds that the provider refused, where their payments don't tell so.
    pub(super) fn add_refused_refunds(&mut self, count: u64) {
        self.refused_refunds = Some(count);
        if count > 0 {
            let what = format!(
                "{count} refunds that the provider refused wait for a decision (paysaga refunds list)"
            );
            self.findings.push(Finding::general("no-money-held", what));
        }
    }
}
