//! Rows of the services' tables, and the records that they become.

use std::error::Error;
use std::time::Duration;

use contracts::Money;
use sqlx::FromRow;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::records::{ChargeRecord, OrderRecord, PaymentRecord};

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

impl TryFrom<OrderRow> for OrderRecord {
    type Error = sqlx::Error;

    fn try_from(row: OrderRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id.into(),
            total: money(row.total)?,
            status: decode(row.status.parse())?,
            age: duration(row.age),
        })
    }
}

impl PaymentRow {
    /// The payment, and its charge.
    pub(super) fn into_records(self) -> Result<(PaymentRecord, Option<ChargeRecord>), sqlx::Error> {
        let payment = PaymentRecord {
            id: self.id.into(),
            order_id: self.order_id.into(),
            amount: money(self.amount)?,
            status: decode(self.status.parse())?,
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
        Ok((payment, charge))
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
