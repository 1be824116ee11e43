//! The states of an order and of a payment, spelled as the wire and the database spell them.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Where an order stands.
///
/// `PENDING_PAYMENT` → `PAID` | `CANCELLED` | `FAILED`, and `PAID` → `CANCELLED` when the customer cancels.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderStatus {
    /// Placed; the result of the payment is not known yet.
    PendingPayment,
    /// The payment was approved.
    Paid,
    /// Cancelled by the customer, by a declined payment or by the saga's deadline. Final.
    Cancelled,
    /// The payment failed for a technical reason. Final.
    Failed,
}

impl OrderStatus {
    /// Whether the status can never change again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed)
    }
}

/// Where a payment stands.
///
/// `PROCESSING` → `APPROVED` | `DECLINED` | `FAILED` | `CANCELLED`, and `APPROVED` → `REFUNDED`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// The provider's answer is not known yet. An unanswered charge stays here until the provider reports its outcome.
    Processing,
    /// The provider took the money.
    Approved,
    /// The provider refused. Final.
    Declined,
    /// The provider could not carry out the charge. Final.
    Failed,
    /// The order was cancelled and no money was taken. Final.
    Cancelled,
    /// The order was cancelled and the money was given back. Final.
    Refunded,
}

impl PaymentStatus {
    /// Whether the status can never change again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Processing | Self::Approved)
    }
}

/// Whether an order and its payment may end in these states together. `None` is an order without a payment: it was
/// cancelled before it was placed, so the payment service never learned of it.
///
/// `PAID` with `APPROVED` is an end too: it stays so unless the customer cancels.
#[must_use]
pub const fn final_states_agree(order: OrderStatus, payment: Option<PaymentStatus>) -> bool {
    use OrderStatus as O;
    use PaymentStatus as P;
    matches!(
        (order, payment),
        (O::Paid, Some(P::Approved))
            | (O::Failed, Some(P::Failed))
            | (O::Cancelled, None | Some(P::Declined | P::Failed | P::Cancelled | P::Refunded))
    )
}

/// Why an order was cancelled.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelReason {
    /// The customer asked for it.
    UserRequested,
    /// The payment provider refused the charge.
    PaymentDeclined,
    /// No payment result arrived before the saga's deadline.
    PaymentTimeout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_ends_go_together() {
        use OrderStatus as O;
        use PaymentStatus as P;
        let legal = [
            (O::Paid, Some(P::Approved)),
            (O::Cancelled, None),
            (O::Cancelled, Some(P::Declined)),
            (O::Cancelled, Some(P::Failed)),
            (O::Cancelled, Some(P::Cancelled)),
            (O::Cancelled, Some(P::Refunded)),
            (O::Failed, Some(P::Failed)),
        ];
        for &order in OrderStatus::VARIANTS {
            for payment in PaymentStatus::VARIANTS.iter().copied().map(Some).chain([None]) {
                let expected = legal.contains(&(order, payment));
                assert_eq!(final_states_agree(order, payment), expected, "{order} and {payment:?}");
            }
        }
    }
}
