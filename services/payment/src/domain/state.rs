//! What the payment service knows about the payment of an order.

use std::time::Duration;

use chassis::aggregate::{Cause, State};
use contracts::refund::RefundAction;
use contracts::{Money, Owner, PaymentStatus, Timestamp};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// What the payment service knows about the payment of an order.
pub type PaymentState = State<Payment>;

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payment {
    /// Whose it is.
    pub owner: Owner,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// What the provider is to be asked next, if anything.
    pub next: Option<NextStep>,
    /// How often a step was taken. From the first on, money may have been taken; and the number tells whether an answer
    /// belongs to the step that was taken last (a fencing token).
    pub attempts: u32,
    /// Whether a charge may still be on its way to the provider.
    pub last_charge: LastCharge,
    /// Whether it is too late to begin a charge.
    pub expiry: Expiry,
    /// Whether the order is cancelled.
    pub cancel_requested: bool,
    /// The provider's reference.
    pub transaction_id: Option<String>,
    /// Why the provider refused, or gave no answer, the last time that it did.
    pub last_error: Option<String>,
    /// What is known about giving the money back, beyond the next step.
    pub refund: Refund,
    /// What happened to the refund since the payment was loaded, to be put on record together with the change.
    pub refund_records: Vec<RefundRecord>,
    /// What the payment's next step arises from: the order, or a cancellation after the payment was approved.
    pub cause: Cause,
}

impl Payment {
    /// What the provider is to be asked next, if anything.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.next.map(|next| next.step)
    }
}

/// What is known about giving the money back, beyond the next step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refund {
    /// Nothing: no money is owed, or the provider is to be asked for it.
    Ordinary,
    /// The provider refused for good, and the money is owed. An operator decides what is done.
    Refused {
        /// The provider's words.
        reason: String,
    },
    /// An operator gave the money back by other means.
    Settled {
        /// What names the transfer, a bank's reference for instance.
        reference: String,
    },
}

/// Something that happened to a refund.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefundRecord {
    /// What.
    pub action: RefundAction,
    /// The operator who decided it; none if the provider did.
    pub actor: Option<String>,
    /// What names the transfer by which the money went back.
    pub reference: Option<String>,
    /// Why.
    pub note: String,
}

/// What the provider is to be asked next, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextStep {
    /// What.
    pub step: Step,
    /// When.
    pub due: Due,
    /// Why then.
    pub reason: StepReason,
}

/// Why a step is due when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum StepReason {
    /// It follows from what has happened.
    New,
    /// The attempt before brought nothing, and there is a pause after it.
    Retry,
    /// It is in the hands of a replica until then. Should no answer be stored by then, that replica is gone.
    LeaseLapsed,
    /// An operator asked for it.
    AskedFor,
}

/// What the provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, EnumString, VariantArray)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Step {
    /// To take the money.
    Charge,
    /// What became of the charge.
    Lookup,
    /// To give the money back.
    Refund,
}

/// When a step is due, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// As scheduled before; that time has come.
    Reached,
    /// As scheduled before; that time is still to come.
    Ahead,
    /// From now on. A transition scheduled it anew.
    Now,
    /// After this time from now. A transition scheduled it anew.
    After(Duration),
}

impl Due {
    /// Whether the step may be taken.
    #[must_use]
    pub const fn is_reached(self) -> bool {
        matches!(self, Self::Reached | Self::Now)
    }
}

/// Whether a charge may still be on its way to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LastCharge {
    /// No: none was sent, or the last so long ago that it has arrived or never will.
    Arrived,
    /// Possibly: the last was sent a short time ago.
    InTransit,
    /// Yes: a transition sends one now.
    SentNow,
}

/// Until when a charge may be begun, by the database's clock. Afterwards the order waits for its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// As set before; that time is still to come, or there is none.
    Ahead,
    /// As set before; that time has passed.
    Passed,
    /// Until then. A transition sets it.
    At(Timestamp),
}
