//! The payment provider, as the payment service sees it.

mod simulator;

use std::future::Future;

use contracts::{Money, PaymentId, Timestamp};
use thiserror::Error;

pub use simulator::{Simulator, SimulatorConfig, SimulatorVariables};

/// Takes and returns money. An HTTP provider implements this as well as [`Simulator`] does.
///
/// The payment id is the idempotency key: asked again under the same key, a provider repeats its answer and never
/// charges or refunds a second time. Calls are made outside of any transaction, many at a time.
pub trait PaymentProvider: Send + Sync + 'static {
    /// Takes the money, but not after `not_after`. A charge that was not answered is looked up, and if none is found after
    /// that time, there must never be one: an implementation has to see to it that no request arrives later, however
    /// long it was under way (a connection that is given up goes on sending what was written to it, for minutes).
    fn charge(
        &self,
        payment: PaymentId,
        amount: Money,
        not_after: Timestamp,
    ) -> impl Future<Output = Result<Charge, Unanswered>> + Send;

    /// Gives the money of an approved charge back. A provider that refuses means it: it refuses every request under this
    /// key that was sent already, and changes its mind only when it is asked anew because an operator wants it.
    fn refund(
        &self,
        payment: PaymentId,
        amount: Money,
    ) -> impl Future<Output = Result<Refund, Unanswered>> + Send;

    /// What became of a charge; `None` if the provider knows of none.
    fn lookup(&self, payment: PaymentId) -> impl Future<Output = Result<Option<Charge>, Unanswered>> + Send;
}

/// A provider's definite answer to a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The money was taken.
    Approved {
        /// The provider's reference.
        transaction_id: String,
    },
    /// The provider refuses.
    Declined {
        /// The provider's reference.
        transaction_id: String,
        /// The provider's words.
        reason: String,
    },
    /// The provider can't carry it out, and never will under this key.
    Failed {
        /// The provider's words.
        error: String,
    },
}

/// A provider's definite answer to a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refund {
    /// The money went back, now or when it was asked first.
    Done,
    /// The money does not go back this way: the account is closed, the charge too old, and so on.
    Refused {
        /// The provider's words.
        reason: String,
    },
}

/// No definite answer: the call timed out, the connection broke, or the provider had an error of its own. What was
/// asked for may have been done or not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the provider did not answer: {0}")]
pub struct Unanswered(pub String);
