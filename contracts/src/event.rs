//! The nine events of the saga, one struct a payload.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::{CancelReason, Money, OrderId, Owner, OwnerFilter, Timestamp, UserId};

/// A customer wants an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateOrderRequested {
    /// The order's id. A NestJS gateway sends none; then the order service derives it from the event id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Who orders.
    pub user_id: UserId,
    /// What is to be paid.
    pub total: Money,
    /// Whose the order is. A NestJS gateway names none; then the order service has a name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A customer wants an order cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelRequested {
    /// Which order.
    pub order_id: OrderId,
    /// Whose it must be; `*` is an operator's request. A NestJS gateway names none, as with an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerFilter>,
}

/// An order was placed and waits for its payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// Which order.
    pub order_id: OrderId,
    /// Who ordered.
    pub user_id: UserId,
    /// What is to be charged.
    pub total: Money,
    /// After this time no charge may be begun. A NestJS order service sends none; then there is no such time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whose the order is. A NestJS order service names none; then the payment service has a name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// An order was cancelled; its money must be given back or never be taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// Which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: CancelReason,
    /// When the order became CANCELLED.
    pub cancelled_at: Timestamp,
}

/// The provider took the money.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentApproved {
    /// Which order.
    pub order_id: OrderId,
    /// The provider's reference.
    pub transaction_id: String,
}

/// The provider refused the charge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentDeclined {
    /// Which order.
    pub order_id: OrderId,
    /// The provider's words.
    pub reason: String,
}

/// The provider could not carry out the charge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
    /// Which order.
    pub order_id: OrderId,
    /// The provider's words.
    pub error: String,
}

/// The order was cancelled before any money was taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentCancelled {
    /// Which order.
    pub order_id: OrderId,
    /// The provider's reference of the charge that was refused, `null` when none was tried.
    pub transaction_id: Option<String>,
}

/// The money was given back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// Which order.
    pub order_id: OrderId,
    /// The provider's reference of the charge that was refunded.
    pub transaction_id: String,
}

/// Declares [`Event`] and [`EventType`] from one list, so that a name can't be in one and not in the other.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Any event, with its payload.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
        }

        /// The `eventType` of an envelope and the `type` property of an AMQP message.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
            VariantArray,
        )]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum EventType {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// Which of the nine it is.
            #[must_use]
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$name(_) => EventType::$name,)*
                }
            }

            pub(crate) fn decode_payload(event_type: EventType, payload: &RawValue) -> serde_json::Result<Self> {
                match event_type {
                    $(EventType::$name => serde_json::from_str(payload.get()).map(Self::$name),)*
                }
            }
        }

        impl Serialize for Event {
            /// Writes the payload alone; the envelope carries the type.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$name(payload) => payload.serialize(serializer),)*
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(payload: $name) -> Self {
                Self::$name(payload)
            }
        })*
    };
}

events! {
    /// `order.create.requested`
    CreateOrderRequested,
    /// `order.cancel.requested`
    OrderCancelRequested,
    /// `order.created`
    OrderCreated,
    /// `order.cancelled`
    OrderCancelled,
    /// `payment.approved`
    PaymentApproved,
    /// `payment.declined`
    PaymentDeclined,
    /// `payment.failed`
    PaymentFailed,
    /// `payment.cancelled`
    PaymentCancelled,
    /// `payment.refunded`
    PaymentRefunded,
}

impl Event {
    /// The order whose saga the event belongs to; `None` only for a `CreateOrderRequested` that names none.
    #[must_use]
    pub const fn order_id(&self) -> Option<OrderId> {
        Some(match self {
            Self::CreateOrderRequested(event) => return event.order_id,
            Self::OrderCancelRequested(event) => event.order_id,
            Self::OrderCreated(event) => event.order_id,
            Self::OrderCancelled(event) => event.order_id,
            Self::PaymentApproved(event) => event.order_id,
            Self::PaymentDeclined(event) => event.order_id,
            Self::PaymentFailed(event) => event.order_id,
            Self::PaymentCancelled(event) => event.order_id,
            Self::PaymentRefunded(event) => event.order_id,
        })
    }
}
