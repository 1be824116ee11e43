//! `POST /payments/order/{orderId}/ask-now` of the payment service: an operator has the provider asked now what it is to be asked
//! later.

use serde::{Deserialize, Serialize};

use crate::OrderId;

/// Its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AskNowRequest {
    /// Why it is not to wait.
    pub reason: String,
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AskNowAccepted {
    /// The order whose payment it is about.
    pub order_id: OrderId,
    /// Whether the replica that answered does not ask the provider at present, because it does not answer. The payment is then among the
    /// first when the provider is tried again.
    pub is_breaker_open: bool,
}
