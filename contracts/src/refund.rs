//! HTTP bodies about refunds, for operators.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::{Money, OrderId, PaymentId, PaymentStatus, Timestamp};

/// A refund, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refund<Status = PaymentStatus> {
    /// The payment whose money goes back; it names the refund.
    pub payment_id: PaymentId,
    /// The order that was paid.
    pub order_id: OrderId,
    /// How much goes back.
    pub amount: Money,
    /// Where the refund stands.
    pub status: RefundStatus,
    /// Where the payment stands: `APPROVED` until the money is back, or a final status that stays, if a charge turned up
    /// after the payment's end.
    pub payment_status: Status,
    /// Since when the money is owed.
    pub since: Timestamp,
    /// How often the provider was asked for anything about this payment.
    pub attempts: u32,
    /// The provider's reference of the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// Why the provider refused, or gave no answer, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A refund and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefundDetails<Status = PaymentStatus, Action = RefundAction> {
    /// What the list shows.
    pub refund: Refund<Status>,
    /// What the provider answered and what operators decided, oldest first.
    pub audit: Vec<RefundAuditEntry<Action>>,
}

/// Something that happened to a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefundAuditEntry<Action = RefundAction> {
    /// What.
    pub action: Action,
    /// Who did it: the name of an API key, or `provider`.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// What names the transfer by which the money went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why.
    pub note: String,
}

/// Where a refund stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// The provider is asked until it answers.
    Open,
    /// The provider refused for good. An operator is to decide.
    Refused,
    /// Nothing is owed any more.
    Done,
}

/// What can happen to a refund besides its being carried out.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundAction {
    /// The provider refused it for good.
    Refused,
    /// An operator had the provider asked once more.
    RetryRequested,
    /// An operator gave the money back by other means.
    Settled,
}

/// Body of `POST /refunds/{paymentId}/retry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryRequest {
    /// Why the provider should answer otherwise now.
    pub note: String,
}

/// Body of `POST /refunds/{paymentId}/settle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettleRequest {
    /// What names the transfer by which the money went back, a bank's reference for instance.
    pub reference: String,
    /// How and why it went back so.
    pub note: String,
}
