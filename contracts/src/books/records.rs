//! What the two services and the provider have on record about one order.

use std::time::Duration;

use crate::{Money, OrderId, OrderStatus, PaymentId, PaymentStatus};

/// An order, as the order service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// The order.
    pub id: OrderId,
    /// What is to be paid.
    pub total: Money,
    /// The order's status.
    pub status: OrderStatus,
    /// How long ago it changed last.
    pub age: Duration,
    /// How long its deadline has passed, zero while it is ahead: then the order is cancelled. None where it waits for nothing, or
    /// the deadline is not known.
    pub overdue: Option<Duration>,
}

/// A payment, as the payment service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRecord {
    /// The payment.
    pub id: PaymentId,
    /// The order that it pays for.
    pub order_id: OrderId,
    /// How much is to be paid.
    pub amount: Money,
    /// The payment's status.
    pub status: PaymentStatus,
    /// What the provider is to be asked next; unknown where only the API was asked.
    pub next_step: Option<String>,
    /// How often the provider was asked.
    pub attempts: u32,
    /// Why the last attempt had no result.
    pub last_error: Option<String>,
    /// Why the provider refused for good to give the money back; unknown where only the API was asked.
    pub refund_refusal: Option<String>,
    /// What names the transfer by which an operator gave the money back; unknown where only the API was asked.
    pub refund_reference: Option<String>,
    /// How long ago it changed last.
    pub age: Duration,
    /// How long its next step has been due, zero while that is ahead. None where there is no next step, or it is not known when.
    pub step_overdue: Option<Duration>,
    /// Whether the provider may have forgotten a charge that holds no money: the payment came to its end so long ago.
    pub charge_forgotten: bool,
}

/// A charge, as the simulated provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRecord {
    /// How much was charged.
    pub amount: Money,
    /// `APPROVED`, `DECLINED` or `FAILED`.
    pub outcome: String,
    /// Whether the money was given back.
    pub refunded: bool,
}

impl ChargeRecord {
    /// Whether the provider has the customer's money.
    #[must_use]
    pub fn holds_money(&self) -> bool {
        self.outcome == "APPROVED" && !self.refunded
    }
}

/// Everything on record about one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaRecords {
    /// The order service's.
    pub order: Option<OrderRecord>,
    /// The payment service's.
    pub payment: Option<PaymentRecord>,
    /// The provider's; none where its books can't be read.
    pub charge: Option<ChargeRecord>,
}

impl SagaRecords {
    /// Whether the order's deadline is ahead, or has passed less than `grace` ago.
    #[must_use]
    pub fn deadline_is_to_come(&self, grace: Duration) -> bool {
        self.order.as_ref().and_then(|order| order.overdue).is_some_and(|overdue| overdue <= grace)
    }

    /// Whether the payment service has something to do that is due less than `patience` ago: its next step, or a cancellation that
    /// it has not consumed.
    #[must_use]
    pub fn payment_goes_on(&self, patience: Duration) -> bool {
        let Some(payment) = &self.payment else { return false };
        let cancelled = self.order.as_ref().filter(|order| order.status == OrderStatus::Cancelled);
        let is_unread = payment.status == PaymentStatus::Approved && payment.next_step.is_none();
        payment.step_overdue.is_some_and(|overdue| overdue <= patience)
            || cancelled.is_some_and(|order| is_unread && order.age < patience)
    }

    /// Whether the provider has money that the customer has not got back in any way.
    #[must_use]
    pub fn money_is_held(&self) -> bool {
        let settled = self.payment.as_ref().is_some_and(|payment| payment.refund_reference.is_some());
        self.charge.as_ref().is_some_and(ChargeRecord::holds_money) && !settled
    }

    /// The order that they are about.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        let of_payment = || self.payment.as_ref().map(|payment| payment.order_id);
        self.order.as_ref().map(|order| order.id).or_else(of_payment)
    }
}
