//! The kinds of orders that the demo places.

use contracts::money::InvalidMoney;
use contracts::{CancelReason, Money, OrderStatus, PaymentStatus};
use serde::Serialize;

use super::goal::EndState;
use crate::forced_outcome::ForcedOutcome;

/// What is done with an order, and so how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The provider takes the money.
    Approved,
    /// The provider refuses.
    Declined,
    /// The provider can't carry the charge out.
    Failed,
    /// The provider takes the money, but its answer never arrives.
    AnswerLost,
    /// The provider takes the money after 5 s.
    Slow,
    /// The customer cancels while the charge is under way.
    CancelledUnderWay,
    /// The customer cancels what is paid.
    CancelledAfterPaid,
    /// The same order is sent twice under one `Idempotency-Key`.
    Duplicate,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Approved,
        Self::Declined,
        Self::Failed,
        Self::AnswerLost,
        Self::Slow,
        Self::CancelledUnderWay,
        Self::CancelledAfterPaid,
        Self::Duplicate,
    ];

    /// The name that is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::AnswerLost => "answer lost",
            Self::Slow => "slow",
            Self::CancelledUnderWay => "cancelled under way",
            Self::CancelledAfterPaid => "cancelled after paid",
            Self::Duplicate => "sent twice",
        }
    }

    /// The total of an order of this kind; all differ, so that they are easily distinguished.
    pub(super) fn total(self) -> Result<Money, InvalidMoney> {
        match self {
            Self::Approved => ForcedOutcome::Approved.total(10),
            Self::Declined => ForcedOutcome::Declined.total(20),
            Self::Failed => ForcedOutcome::Failed.total(30),
            Self::AnswerLost => ForcedOutcome::AnswerLost.total(40),
            Self::Slow => ForcedOutcome::Slow.total(50),
            // Slow, so that there is time to cancel it.
            Self::CancelledUnderWay => ForcedOutcome::Slow.total(60),
            Self::CancelledAfterPaid => ForcedOutcome::Approved.total(70),
            Self::Duplicate => ForcedOutcome::Approved.total(80),
        }
    }

    /// The states in which it settles.
    pub(super) const fn end_state(self) -> EndState {
        const fn end_state(
            order: OrderStatus,
            reason: Option<CancelReason>,
            payment: PaymentStatus,
        ) -> EndState {
            EndState { order, reason, payment }
        }
        match self {
            Self::Approved | Self::AnswerLost | Self::Slow | Self::Duplicate => EndState::PAID,
            Self::Declined => end_state(
                OrderStatus::Cancelled,
                Some(CancelReason::PaymentDeclined),
                PaymentStatus::Declined,
            ),
            Self::Failed => end_state(OrderStatus::Failed, None, PaymentStatus::Failed),
            Self::CancelledUnderWay | Self::CancelledAfterPaid => {
                end_state(OrderStatus::Cancelled, Some(CancelReason::UserRequested), PaymentStatus::Refunded)
            }
        }
    }

    /// Why it takes seconds, if it does.
    pub(super) const fn slow_because(self) -> Option<&'static str> {
        match self {
            Self::AnswerLost => Some(
                "the provider's answer never comes; after PROVIDER_TIMEOUT (8 s unless set) it is looked up",
            ),
            Self::Slow => Some("the provider takes 5 s"),
            Self::CancelledUnderWay => Some("the provider takes 5 s, then the money goes back"),
            Self::Approved | Self::Declined | Self::Failed | Self::CancelledAfterPaid | Self::Duplicate => {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::status::final_states_agree;

    use super::*;

    #[test]
    fn every_kind_ends_in_states_that_agree() {
        for kind in Kind::ALL {
            let EndState { order, payment, .. } = kind.end_state();
            assert!(final_states_agree(order, Some(payment)), "{kind:?}");
        }
    }
}
