//! Rows of the services' tables, and the records that they become.

use std::error::Error;
use std::time::Duration;

use contracts::{Money, OrderId};
use sqlx::FromRow;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::records::{ChargeRecord, OrderRecord, PaymentRecord};

/// The steps of a payment that this version knows.
const STEPS: [&str; 3] = ["CHARGE", "LOOKUP", "REFUND"];

/// An order.
#[derive(FromRow)]
pub(super) struct OrderRow {
    id: Uuid,
    total: Decimal,
    status: String,
    /// Seconds since it changed last.
    age: f64,
}

/// A payment, with its charge if there is one.
#[derive(FromRow)]
pub(super) struct PaymentRow {
    order_id: Uuid,
    id: Uuid,
    amount: Decimal,
    status: String,
    next_step: Option<String>,
    attempts: i32,
    last_error: Option<String>,
    refund_refusal: Option<String>,
    refund_reference: Option<String>,
    /// Seconds since it changed last.
    age: f64,
    charged: Option<Decimal>,
    outcome: Option<String>,
    refunded: bool,
    charge_forgotten: bool,
}

impl OrderRow {
    /// Which order.
    pub(super) fn id(&self) -> OrderId {
        self.id.into()
    }

    /// The order; none if its row is of a newer version.
    pub(super) fn into_record(self) -> Result<Option<OrderRecord>, sqlx::Error> {
        let Ok(status) = self.status.parse() else { return Ok(None) };
        let (id, total, age) = (self.id.into(), money(self.total)?, duration(self.age));
        Ok(Some(OrderRecord { id, total, status, age }))
    }
}

impl PaymentRow {
    /// Which order it pays for.
    pub(super) fn order_id(&self) -> OrderId {
        self.order_id.into()
    }

    /// The payment, and its charge; none if its row is of a newer version.
    pub(super) fn into_records(self) -> Result<Option<(PaymentRecord, Option<ChargeRecord>)>, sqlx::Error> {
        let Ok(status) = self.status.parse() else { return Ok(None) };
        if self.next_step.as_deref().is_some_and(|step| !STEPS.contains(&step)) {
            return Ok(None);
        }
        let payment = PaymentRecord {
            id: self.id.into(),
            order_id: self.order_id.into(),
            amount: money(self.amount)?,
            status,
            next_step: self.next_step,
            attempts: self.attempts.unsigned_abs(),
            last_error: self.last_error,
            refund_refusal: self.refund_refusal,
            refund_reference: self.refund_reference,
            age: duration(self.age),
            charge_forgotten: self.charge_forgotten,
        };
        let charge = match self.charged.zip(self.outcome) {
            None => None,
            Some((amount, outcome)) => {
                Some(ChargeRecord { amount: money(amount)?, outcome, refunded: self.refunded })
            }
        };
        Ok(Some((payment, charge)))
    }
}

/// Negative if a clock was set back: such a change is new.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn money(amount: Decimal) -> Result<Money, sqlx::Error> {
    decode(amount.try_into())
}

fn decode<T, E: Into<Box<dyn Error + Send + Sync>>>(value: Result<T, E>) -> Result<T, sqlx::Error> {
    value.map_err(|error| sqlx::Error::Decode(error.into()))
}
