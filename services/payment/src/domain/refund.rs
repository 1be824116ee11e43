//! Giving the money back: by the provider, or, when it refuses for good, as an operator decides.
//!
//! ```text
//! owed: next step REFUND ── refunded ──→ done
//!        ↑           └── refused ──→ Refused ── settled by other means ──→ done
//!        └──────── asked once more ─────┘
//! ```
//!
//! "Refunded" is a fact about the one charge, whichever attempt brought it. A refusal counts only as the answer of the
//! latest attempt: it must not hide that a later one was carried out. Only what is refused can be settled by other means,
//! since a request that is still open may yet be carried out.

use chassis::aggregate::Context;
use contracts::PaymentStatus;
use contracts::event::PaymentRefunded;
use contracts::refund::RefundAction;

use super::decision::Undecidable;
use super::state::{Payment, Refund, RefundRecord, Step};
use super::transition::{Transition, to};
use super::trigger::Decision;

impl Payment {
    /// Whether the provider has money that it or an operator is to give back.
    #[must_use]
    pub fn owes_refund(&self) -> bool {
        self.step() == Some(Step::Refund) || matches!(self.refund, Refund::Refused { .. })
    }

    /// The provider has given the money back.
    pub(super) fn refunded(self, context: &Context<'_>) -> Transition {
        self.given_back(context, Refund::Ordinary)
    }

    /// The provider refused. It is not asked again unless an operator decides so.
    pub(super) fn refund_refused(self, reason: &str) -> Transition {
        if self.step() != Some(Step::Refund) {
            return to(self);
        }
        let refused = RefundRecord {
            action: RefundAction::Refused,
            actor: None,
            reference: None,
            note: reason.to_owned(),
        };
        let refund = Refund::Refused { reason: reason.to_owned() };
        to(Self { refund, last_error: Some(reason.to_owned()), ..self }.recorded(refused).without_step())
    }

    /// An operator wants the provider to be asked once more.
    pub(super) fn refund_retried(self, decision: &Decision) -> Result<Transition, Undecidable> {
        let decided = self.decided(RefundAction::RetryRequested, decision, None)?;
        Ok(to(Self { refund: Refund::Ordinary, ..decided }.with_step(Step::Refund)))
    }

    /// An operator has given the money back by other means.
    pub(super) fn refund_settled(
        self,
        context: &Context<'_>,
        decision: &Decision,
        reference: &str,
    ) -> Result<Transition, Undecidable> {
        let decided = self.decided(RefundAction::Settled, decision, Some(reference))?;
        Ok(decided.given_back(context, Refund::Settled { reference: reference.to_owned() }))
    }

    /// The money is back. A payment that had ended without money stays what it is.
    fn given_back(self, context: &Context<'_>, refund: Refund) -> Transition {
        let given_back = Self { refund, ..self }.without_step();
        if given_back.status != PaymentStatus::Approved {
            return to(given_back);
        }
        let transaction_id = given_back.transaction_id.clone().unwrap_or_default();
        let event = PaymentRefunded { order_id: context.order_id, transaction_id };
        given_back.moved(PaymentStatus::Refunded, event)
    }

    fn decided(
        self,
        action: RefundAction,
        Decision { actor, note }: &Decision,
        reference: Option<&str>,
    ) -> Result<Self, Undecidable> {
        if !matches!(self.refund, Refund::Refused { .. }) {
            return Err(Undecidable::NoRefusedRefund);
        }
        let (actor, reference) = (Some(actor.clone()), reference.map(ToOwned::to_owned));
        Ok(self.recorded(RefundRecord { action, actor, reference, note: note.clone() }))
    }

    fn recorded(mut self, record: RefundRecord) -> Self {
        self.refund_records.push(record);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::transition::tests::{
        apply, approved, created, declined, failed, refused, run, step_due, unanswered,
    };
    use crate::domain::{Due, PaymentState, Trigger};
    use contracts::Event;

    fn decision() -> Decision {
        Decision { actor: "ops".into(), note: "the account is closed".into() }
    }

    fn retry() -> Trigger {
        Trigger::RetryRefund(decision())
    }

    fn settle() -> Trigger {
        Trigger::SettleRefund { decision: decision(), reference: "transfer 7".into() }
    }

    /// A payment whose second attempt was refused.
    fn refused_refund() -> Vec<Trigger> {
        vec![created(), step_due(), approved(), Trigger::OrderCancelled, step_due(), refused(2)]
    }

    fn payment(state: &PaymentState) -> &Payment {
        state.known().unwrap()
    }

    #[test]
    fn a_refused_refund_waits_for_a_decision_and_no_step_is_taken() {
        let (state, events) = run(&refused_refund());
        let refunded = payment(&state);
        assert_eq!((refunded.status, refunded.next), (PaymentStatus::Approved, None));
        assert_eq!(refunded.refund, Refund::Refused { reason: "account closed".into() });
        assert_eq!(refunded.last_error.as_deref(), Some("account closed"));
        let actions: Vec<_> = refunded.refund_records.iter().map(|record| record.action).collect();
        assert_eq!((actions, events.len()), (vec![RefundAction::Refused], 1));
        for trigger in [created(), Trigger::OrderCancelled, step_due(), approved(), declined(), unanswered()]
        {
            let after = apply(&state, &trigger);
            assert_eq!((after.next, after.call), (state.clone(), None), "{trigger:?}");
        }
    }

    #[test]
    fn an_operator_has_the_provider_asked_once_more() {
        let (state, _) = run(&[refused_refund(), vec![retry()]].concat());
        assert_eq!(payment(&state).next.map(|next| (next.step, next.due)), Some((Step::Refund, Due::Now)));
        assert_eq!(payment(&state).refund, Refund::Ordinary);
        let (state, events) = run(&[refused_refund(), vec![retry(), step_due(), Trigger::Refunded]].concat());
        assert_eq!((payment(&state).status, payment(&state).step()), (PaymentStatus::Refunded, None));
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn an_operator_settles_it_by_other_means() {
        let (state, events) = run(&[refused_refund(), vec![settle()]].concat());
        let settled = payment(&state);
        assert_eq!((settled.status, settled.step()), (PaymentStatus::Refunded, None));
        assert_eq!(settled.refund, Refund::Settled { reference: "transfer 7".into() });
        let record = settled.refund_records.last().unwrap();
        assert_eq!((record.actor.as_deref(), record.reference.as_deref()), (Some("ops"), Some("transfer 7")));
        assert!(matches!(&events[1], Event::PaymentRefunded(event) if event.transaction_id == "t"));
    }

    #[test]
    fn only_a_refused_refund_is_decided_about() {
        let open = [created(), step_due(), approved(), Trigger::OrderCancelled, step_due()];
        let histories = [
            vec![],
            vec![Trigger::OrderCancelled],
            open.to_vec(),
            [refused_refund(), vec![settle()]].concat(),
        ];
        for history in histories {
            let (state, _) = run(&history);
            for decision in [retry(), settle()] {
                let decided = crate::domain::transition::tests::try_apply(&state, &decision);
                assert_eq!(decided, Err(Undecidable::NoRefusedRefund), "{history:?}");
            }
        }
    }

    #[test]
    fn a_refusal_of_an_earlier_attempt_does_not_hide_that_a_later_one_is_under_way() {
        let (state, _) = run(&[refused_refund(), vec![retry(), step_due()]].concat());
        assert_eq!(apply(&state, &refused(2)).next, state);
        assert_eq!(apply(&state, &refused(1)).next, state);
        // That the money is back is a fact, whichever attempt brought it, and even after a refusal.
        for history in [refused_refund(), [refused_refund(), vec![retry()]].concat()] {
            let (state, _) = run(&[history, vec![Trigger::Refunded]].concat());
            assert_eq!(payment(&state).status, PaymentStatus::Refunded);
        }
    }

    #[test]
    fn a_charge_that_turns_up_after_the_end_can_be_refused_and_settled_too() {
        let conclusive = Trigger::NotCharged { attempt: 1, charge_in_transit: false };
        let stray = Trigger::Approved { transaction_id: "stray".into() };
        let history =
            [created(), step_due(), Trigger::OrderCancelled, conclusive, stray, step_due(), refused(2)];
        let (state, events) = run(&history);
        assert_eq!(payment(&state).status, PaymentStatus::Cancelled);
        assert!(payment(&state).owes_refund());
        let settled = apply(&state, &settle());
        assert_eq!(payment(&settled.next).status, PaymentStatus::Cancelled);
        assert!(!payment(&settled.next).owes_refund());
        assert_eq!((settled.event, events.len()), (None, 1));
        // A late answer does not undo it.
        for late in [Trigger::Refunded, refused(2), Trigger::Approved { transaction_id: "stray".into() }] {
            assert_eq!(apply(&settled.next, &late).next, settled.next, "{late:?}");
        }
    }

    /// What the provider did is a fact about the one charge: an answer that comes late, or twice, adds nothing.
    #[test]
    fn facts_that_come_again_change_nothing() {
        let cancelled = [created(), step_due(), Trigger::OrderCancelled];
        for facts in [vec![approved()], vec![declined()], vec![failed()], vec![approved(), Trigger::Refunded]]
        {
            for begin in [&cancelled[..2], &cancelled[..]] {
                let (state, _) = run(&[begin.to_vec(), facts.clone()].concat());
                for late in &facts {
                    let again = apply(&state, late);
                    assert_eq!(
                        (again.next, again.event),
                        (state.clone(), None),
                        "{begin:?} {facts:?} {late:?}"
                    );
                }
            }
        }
    }
}
