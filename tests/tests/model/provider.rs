//! The provider, as the model has it: what it is asked, what it records, and what it answers.

use crate::faults::PlantedBug;

/// A call to the provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// In transit to the provider. `charge_in_transit`: whether an earlier charge may have been in transit when it was sent.
    /// `attempt`: the step's number.
    Sent { step: StepName, charge_in_transit: bool, attempt: u32 },
    /// The answer is in transit to the service.
    Answered(Answer),
}

/// The payment service's `Step` with an order, so that two worlds that differ in the order of their calls only are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepName {
    Charge,
    Lookup,
    Refund,
}

/// The provider's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Charged(Outcome),
    NotCharged { attempt: u32, charge_in_transit: bool },
    Refunded,
    RefundRefused { attempt: u32 },
}

/// What the provider decided about a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Approved,
    Declined,
    Failed,
}

/// The provider's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Provider {
    pub charge: Option<Outcome>,
    /// How often money was taken.
    pub charges: u8,
    /// How often it was given back.
    pub refunds: u8,
    /// Whether it refuses to give it back. It does so until an operator has it asked once more.
    pub refuses: bool,
}

impl Provider {
    /// Handles a call, which is answered then. `outcome` is what it decides about a charge or a refund that it has not
    /// decided about yet.
    pub fn handle(&mut self, call: Call, outcome: Outcome, bug: Option<PlantedBug>) -> Call {
        let Call::Sent { step, charge_in_transit, attempt } = call else { return call };
        Call::Answered(match step {
            StepName::Charge => {
                let is_new = self.charge.is_none() || bug == Some(PlantedBug::KeyPerAttempt);
                let outcome = *self.charge.get_or_insert(outcome);
                if is_new && outcome == Outcome::Approved {
                    self.charges += 1;
                }
                Answer::Charged(outcome)
            }
            StepName::Lookup => match self.charge {
                Some(outcome) => Answer::Charged(outcome),
                None => Answer::NotCharged { attempt, charge_in_transit },
            },
            StepName::Refund if self.refunds > 0 => Answer::Refunded,
            StepName::Refund if self.refuses || outcome != Outcome::Approved => {
                self.refuses = true;
                Answer::RefundRefused { attempt }
            }
            StepName::Refund => {
                if self.charge == Some(Outcome::Approved) {
                    self.refunds = 1;
                }
                Answer::Refunded
            }
        })
    }
}
