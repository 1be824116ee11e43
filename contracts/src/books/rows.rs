//! Rows of the services' tables, as they are read and sent, and the records that they become.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::records::{ChargeRecord, OrderRecord, PaymentRecord};
use crate::{Money, OrderId, PaymentId, Word};

/// The steps of a payment that this version knows.
const STEPS: [&str; 3] = ["CHARGE", "LOOKUP", "REFUND"];

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[serde(rename_all = "camelCase")]
pub struct OrderRow {
    /// The order.
    pub id: OrderId,
    /// What is to be paid.
    pub total: Money,
    /// Its status.
    pub status: Word,
    /// Seconds since it changed last.
    pub age: f64,
    /// Seconds since its deadline, zero while that is ahead; null where it waits for nothing or the deadline is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<f64>,
}

/// A payment, with its charge if there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[serde(rename_all = "camelCase")]
pub struct PaymentRow {
    /// The order that it pays for.
    pub order_id: OrderId,
    /// The payment.
    pub id: PaymentId,
    /// How much is to be paid.
    pub amount: Money,
    /// Its status.
    pub status: Word,
    /// What the provider is to be asked next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<Word>,
    /// Seconds since that is due, zero while it is ahead; null where there is no next step or it is not known when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_overdue: Option<f64>,
    /// How often the provider was asked.
    pub attempts: i32,
    /// Why the last attempt had no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why the provider refused for good to give the money back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_refusal: Option<String>,
    /// What names the transfer by which an operator gave the money back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_reference: Option<String>,
    /// Seconds since it changed last.
    pub age: f64,
    /// How much the provider charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Money>,
    /// What came of the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Word>,
    /// Whether the provider gave the money back.
    pub refunded: bool,
    /// Whether the provider may have forgotten a charge that holds no money.
    pub charge_forgotten: bool,
}

impl OrderRow {
    /// The order; none if its row is of a newer version.
    #[must_use]
    pub fn record(self) -> Option<OrderRecord> {
        let status = self.status.parse().ok()?;
        let (age, overdue) = (seconds(self.age), self.overdue.map(seconds));
        Some(OrderRecord { id: self.id, total: self.total, status, age, overdue })
    }
}

impl PaymentRow {
    /// The payment, and its charge; none if its row is of a newer version.
    #[must_use]
    pub fn records(self) -> Option<(PaymentRecord, Option<ChargeRecord>)> {
        let status = self.status.parse().ok()?;
        if self.next_step.as_deref().is_some_and(|step| !STEPS.contains(&step)) {
            return None;
        }
        let payment = PaymentRecord {
            id: self.id,
            order_id: self.order_id,
            amount: self.amount,
            status,
            next_step: self.next_step,
            attempts: self.attempts.unsigned_abs(),
            last_error: self.last_error,
            refund_refusal: self.refund_refusal,
            refund_reference: self.refund_reference,
            age: seconds(self.age),
            step_overdue: self.step_overdue.map(seconds),
            charge_forgotten: self.charge_forgotten,
        };
        let charge = self.charged.zip(self.outcome);
        let refunded = self.refunded;
        Some((payment, charge.map(|(amount, outcome)| ChargeRecord { amount, outcome, refunded })))
    }
}

/// Negative if a clock was set back: such a change is new.
fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}
