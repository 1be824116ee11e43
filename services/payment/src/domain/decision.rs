//! What operators decide about a payment beyond a refund: that the provider is asked now. And why a decision is not possible.
//!
//! Only the pause after an attempt that brought nothing can be cut short. What the provider is asked stays the same: a charge that was
//! sent is looked up. A call that is under way has its time, and so has the last look at a cancelled payment, whose answer would prove
//! nothing before it.

use contracts::PaymentStatus;
use thiserror::Error;

use super::state::{Due, NextStep, Payment, Refund, Step, StepReason};
use super::transition::{Transition, to};

/// Why a decision of an operator is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Undecidable {
    /// About a refund that the provider did not refuse, or that is decided already.
    #[error("the payment has no refund that the provider refused and that is still to be decided about")]
    NoRefusedRefund,
    /// The provider refused the refund for good.
    #[error("the provider refused to give the money back, and that waits for a decision: `paysaga refunds`")]
    RefusedRefund,
    /// There is no next step.
    #[error("there is nothing to ask the provider about this payment")]
    NothingToAsk,
    /// A replica has the step in hand.
    #[error("a replica is asking the provider right now; should it not come back, another one asks")]
    BeingAsked,
    /// Only the last look is left.
    #[error("the payment is cancelled, and only looked up once more when no charge can come late any more")]
    LastLook,
}

impl Payment {
    /// An operator wants the provider to be asked now. What is due already is asked anyway.
    pub(super) fn asked_now(self) -> Result<Transition, Undecidable> {
        let Some(NextStep { step, due, reason }) = self.next else {
            return Err(match self.refund {
                Refund::Refused { .. } => Undecidable::RefusedRefund,
                Refund::Ordinary | Refund::Settled { .. } => Undecidable::NothingToAsk,
            });
        };
        if due.is_reached() {
            return Ok(to(self));
        }
        match reason {
            StepReason::Retry | StepReason::AskedFor => {
                let next = NextStep { step, due: Due::Now, reason: StepReason::AskedFor };
                Ok(to(Self { next: Some(next), ..self }))
            }
            StepReason::New if self.status == PaymentStatus::Cancelled && step == Step::Lookup => {
                Err(Undecidable::LastLook)
            }
            // A version before 0018 said no reason when it took a step.
            StepReason::New | StepReason::LeaseLapsed => Err(Undecidable::BeingAsked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::transition::tests::{
        apply, approved, created, refused, run, step_due, try_apply, unanswered,
    };
    use crate::domain::{PaymentState, Trigger};

    /// Why the provider can't be asked now after these triggers.
    fn refusal(triggers: &[Trigger]) -> Undecidable {
        try_apply(&run(triggers).0, &Trigger::AskNow).unwrap_err()
    }

    #[test]
    fn the_pause_after_an_attempt_ends_and_a_charge_that_was_sent_is_looked_up() {
        let (state, _) = run(&[created(), step_due(), unanswered(), Trigger::AskNow]);
        let asked = NextStep { step: Step::Lookup, due: Due::Now, reason: StepReason::AskedFor };
        assert_eq!(state.known().unwrap().next, Some(asked));
        let taken = apply(&state, &step_due());
        assert_eq!(taken.call.map(|call| (call.step, call.attempt)), Some((Step::Lookup, 2)));
        // Asked for twice, it is one step.
        assert_eq!(apply(&state, &Trigger::AskNow).next, state);
    }

    #[test]
    fn what_is_due_is_asked_anyway() {
        let (state, _) = run(&[created()]);
        let asked = apply(&state, &Trigger::AskNow);
        assert_eq!((asked.next, asked.call), (state, None));
    }

    #[test]
    fn a_decision_that_is_not_possible_says_why() {
        let conclusive = Trigger::NotCharged { attempt: 1, charge_in_transit: false };
        let cancelled = [created(), step_due(), Trigger::OrderCancelled];
        let refund = [created(), step_due(), approved(), Trigger::OrderCancelled, step_due(), refused(2)];
        for (triggers, expected) in [
            (vec![], Undecidable::NothingToAsk),
            (vec![Trigger::OrderCancelled], Undecidable::NothingToAsk),
            (vec![created(), step_due(), approved()], Undecidable::NothingToAsk),
            (vec![created(), step_due()], Undecidable::BeingAsked),
            (refund.to_vec(), Undecidable::RefusedRefund),
            ([&cancelled[..], &[conclusive]].concat(), Undecidable::LastLook),
        ] {
            assert_eq!(refusal(&triggers), expected, "{triggers:?}");
        }
    }

    #[test]
    fn a_row_that_says_no_reason_may_be_in_the_hands_of_an_older_version() {
        let PaymentState::Known(mut payment) = run(&[created(), step_due()]).0 else { panic!("it is known") };
        payment.next = payment.next.map(|next| NextStep { reason: StepReason::New, ..next });
        let asked = try_apply(&PaymentState::Known(payment), &Trigger::AskNow);
        assert_eq!(asked, Err(Undecidable::BeingAsked));
    }
}
