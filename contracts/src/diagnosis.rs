//! What a service knows about one order beyond what clients see: where it waits, since when, and until when.

use serde::{Deserialize, Serialize};

use crate::failed_message::{FailedMessage, FailedMessageStatus};
use crate::order::Order;
use crate::payment::Payment;
use crate::{CancelReason, EventId, OrderStatus, PaymentStatus, Timestamp};

/// `GET /orders/{id}/diagnosis` of the order service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderDiagnosis<Status = OrderStatus, Reason = CancelReason, MessageStatus = FailedMessageStatus> {
    /// The order; absent if it has not been stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order<Status, Reason>>,
    /// Joins everything that the request which placed it caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The trace of the request that placed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Its cancellation came before it did.
    pub is_cancelled_early: bool,
    /// When it is cancelled unless its payment has a result by then. Time in which results could not be heard prolongs it. Absent
    /// where it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Its events that are committed and not known to be on the broker, the oldest first.
    pub outbox: Vec<UnpublishedEvent>,
    /// Messages about it that could not be handled, the one that failed last first; at most 20.
    pub failed_messages: Vec<FailedMessage<MessageStatus>>,
}

impl<Status, Reason, MessageStatus> Default for OrderDiagnosis<Status, Reason, MessageStatus> {
    /// Of an order of which nothing is known.
    fn default() -> Self {
        Self {
            order: None,
            correlation_id: None,
            trace_id: None,
            is_cancelled_early: false,
            deadline: None,
            outbox: Vec::new(),
            failed_messages: Vec::new(),
        }
    }
}

/// `GET /payments/order/{orderId}/diagnosis` of the payment service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDiagnosis<Status = PaymentStatus, MessageStatus = FailedMessageStatus> {
    /// The payment; absent if it has not been opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment<Status>>,
    /// The order's cancellation came before the order did.
    pub is_cancelled_early: bool,
    /// The order was cancelled after the payment was opened.
    pub is_cancel_requested: bool,
    /// What the provider is to be asked next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<NextProviderStep>,
    /// Until when a charge may be begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Since when money is owed to the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_owed_since: Option<Timestamp>,
    /// Why the provider refused for good to give the money back: an operator decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_refusal: Option<String>,
    /// Whether the replica that answered does not ask the provider now, because it does not answer.
    pub is_breaker_open: bool,
    /// Its events that are committed and not known to be on the broker, the oldest first.
    pub outbox: Vec<UnpublishedEvent>,
    /// Messages about it that could not be handled, the one that failed last first; at most 20.
    pub failed_messages: Vec<FailedMessage<MessageStatus>>,
}

impl<Status, MessageStatus> Default for PaymentDiagnosis<Status, MessageStatus> {
    /// Of an order of which nothing is known.
    fn default() -> Self {
        Self {
            payment: None,
            is_cancelled_early: false,
            is_cancel_requested: false,
            next_step: None,
            expires_at: None,
            refund_owed_since: None,
            refund_refusal: None,
            is_breaker_open: false,
            outbox: Vec::new(),
            failed_messages: Vec::new(),
        }
    }
}

/// What the provider is to be asked next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextProviderStep {
    /// `CHARGE`, `LOOKUP` or `REFUND`.
    pub step: String,
    /// Why it is due then: `new`, `retry` (a pause after an attempt that brought nothing), `asked_for` (an operator cut that short), or
    /// `lease_lapsed` (a replica is asking the provider right now; should it not come back by then, another one asks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub due_at: Timestamp,
}

/// An event in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "postgres", derive(sqlx::FromRow))]
#[serde(rename_all = "camelCase")]
pub struct UnpublishedEvent {
    /// Names it.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// When it was committed.
    pub created_at: Timestamp,
}
