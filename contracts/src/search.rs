//! `GET /search?q=…` of the order and payment services: which order an id of any kind belongs to.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::OrderId;
use crate::header::MAX_IDEMPOTENCY_KEY;
use crate::problem::InvalidMember;

/// The text that is looked for, as `q` of the query gives it; what is wrong with it if it can be no id. The longest is an
/// `Idempotency-Key` in quotes.
pub fn wanted_text(query: Option<&str>) -> Result<&str, InvalidMember> {
    let text = query.unwrap_or_default().trim();
    let most = MAX_IDEMPOTENCY_KEY + 2;
    if text.is_empty() || text.contains('\0') || text.chars().count() > most {
        return Err(InvalidMember::new("q", format!("must be 1 to {most} characters, none of them NUL")));
    }
    Ok(text)
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchResults {
    /// Orders, the latest first; at most 20.
    pub orders: Vec<FoundOrder>,
}

/// An order, and by what it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundOrder {
    /// The order.
    pub order_id: OrderId,
    /// What the text is to it.
    pub by: FoundBy,
}

/// What a text is to the order that was found by it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
pub enum FoundBy {
    /// The order's id.
    #[strum(serialize = "order id")]
    OrderId,
    /// The payment's id.
    #[strum(serialize = "payment id")]
    PaymentId,
    /// The provider's reference.
    #[strum(serialize = "transaction id")]
    TransactionId,
    /// The correlation id of the request that placed it.
    #[strum(serialize = "correlation id")]
    CorrelationId,
    /// The id of one of its events.
    #[strum(serialize = "event id")]
    EventId,
    /// The trace of the request that placed it.
    #[strum(serialize = "trace id")]
    TraceId,
    /// The `Idempotency-Key` that it was placed with.
    #[strum(serialize = "Idempotency-Key")]
    IdempotencyKey,
}
