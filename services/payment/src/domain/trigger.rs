//! What can happen to a payment.

use std::time::Duration;

use contracts::{Money, Owner, Timestamp};
use strum::IntoStaticStr;

/// What can happen to a payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Trigger {
    /// The order was placed.
    OrderCreated {
        /// Whose it is.
        owner: Owner,
        /// What is to be charged.
        amount: Money,
        /// Until when the charge may be begun, if there is such a time.
        expires_at: Option<Timestamp>,
        /// If the provider can be asked at once: how long the charge belongs to this replica.
        lease: Option<Duration>,
    },
    /// The order was cancelled.
    OrderCancelled,
    /// The time of the next step has come, and the provider can be asked.
    StepDue {
        /// How long the step belongs to the replica that takes it.
        lease: Duration,
    },
    /// The provider has the money.
    Approved {
        /// Its reference.
        transaction_id: String,
    },
    /// The provider refused.
    Declined {
        /// Its reference.
        transaction_id: String,
        /// The provider's reason.
        reason: String,
    },
    /// The provider could not carry out the charge.
    Failed {
        /// The provider's message.
        error: String,
    },
    /// The provider knows of no charge under our key.
    NotCharged {
        /// The number of the attempt that asked. If there was another one since, it may have charged.
        attempt: u32,
        /// Whether a charge that was sent before it asked may still be on its way.
        charge_in_transit: bool,
    },
    /// The provider gave the money back.
    Refunded,
    /// The provider refused for good to give the money back.
    RefundRefused {
        /// The number of the attempt that asked.
        attempt: u32,
        /// The provider's reason.
        reason: String,
    },
    /// The provider is to be asked once more for a refund that it refused.
    RetryRefund(Decision),
    /// The money of a refused refund went back by other means.
    SettleRefund {
        /// Who decided it, and why.
        decision: Decision,
        /// What names the transfer, a bank's reference for instance.
        reference: String,
    },
    /// An operator wants the provider to be asked now what it is to be asked later.
    AskNow,
    /// No answer. What was asked for may have been done or not.
    Unanswered {
        /// The number of the attempt that asked.
        attempt: u32,
        /// Why there is none.
        error: String,
    },
}

/// An operator's decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The operator.
    pub actor: String,
    /// Why they decided so.
    pub note: String,
}

impl Trigger {
    /// Why the provider refused, or gave no answer.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Declined { reason: error, .. }
            | Self::RefundRefused { reason: error, .. }
            | Self::Failed { error }
            | Self::Unanswered { error, .. } => Some(error),
            Self::OrderCreated { .. }
            | Self::OrderCancelled
            | Self::StepDue { .. }
            | Self::Approved { .. }
            | Self::NotCharged { .. }
            | Self::Refunded
            | Self::RetryRefund(_)
            | Self::SettleRefund { .. }
            | Self::AskNow => None,
        }
    }
}
