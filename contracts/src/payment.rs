//! HTTP bodies about payments.

use serde::{Deserialize, Serialize};

use crate::{Money, MoneyTotal, OrderId, Owner, PaymentId, PaymentStatus, Timestamp};

/// A payment as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Payment<Status = PaymentStatus> {
    /// The payment's id.
    pub id: PaymentId,
    /// What it pays for.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: Status,
    /// The provider's reference; absent until the provider gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// How often the provider was asked.
    #[serde(default)]
    #[cfg_attr(feature = "postgres", sqlx(try_from = "i32"))]
    pub attempts: u32,
    /// Why the last attempt brought no answer, or why the provider refused; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the payment service wrote the payment down.
    pub created_at: Timestamp,
    /// When the status last changed.
    pub updated_at: Timestamp,
    /// Whose it is; absent where a NestJS service answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// `GET /payments/stats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentStats<Status = PaymentStatus> {
    /// One entry a status that any payment has.
    pub by_status: Vec<StatusStats<Status>>,
}

impl<Status> Default for PaymentStats<Status> {
    fn default() -> Self {
        Self { by_status: Vec::new() }
    }
}

/// The payments of one status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusStats<Status = PaymentStatus> {
    /// Which status.
    pub status: Status,
    /// How many payments have it.
    #[cfg_attr(feature = "postgres", sqlx(try_from = "i64"))]
    pub count: u64,
    /// Their amounts together, exact.
    pub total_amount: MoneyTotal,
}
