//! What follows from a trigger. The applier, the property tests and the model check all call [`transition`]; the status of
//! a payment is decided nowhere else; what the provider is asked when, in `schedule` beside it.

use std::time::Duration;

use chassis::aggregate::{Cause, Context};
use contracts::event::{PaymentApproved, PaymentCancelled, PaymentDeclined, PaymentFailed};
use contracts::{Event, Money, Owner, OwnerFilter, PaymentStatus, Timestamp};

use super::decision::Undecidable;
use super::schedule::ProviderCall;
use super::state::{Due, Expiry, LastCharge, NextStep, Payment, PaymentState, Refund, Step, StepReason};
use super::trigger::Trigger;

/// When the provider is asked once more about the charge of a cancelled order that it did not know. By then it is certain that
/// there is none if the provider keeps to the time after which a charge must not be carried out; this is for one that does
/// not. Longer than Linux goes on sending what was written to a connection that was given up (`tcp_retries2`: some 16
/// minutes).
const LAST_LOOK: Duration = Duration::from_mins(20);

/// What follows from a trigger.
pub type Transition = chassis::aggregate::Transition<Payment, ProviderCall>;

/// What follows from `trigger`. Only an operator's decision can be refused.
///
/// Total and idempotent: a trigger that comes again, or too late, changes nothing and emits nothing. Only PROCESSING
/// and APPROVED ever change.
pub fn transition(
    context: &Context<'_>,
    state: &PaymentState,
    trigger: &Trigger,
) -> Result<Transition, Undecidable> {
    let payment = match (state, trigger) {
        (PaymentState::Known(payment), _) => payment.clone(),
        (_, Trigger::RetryRefund(_) | Trigger::SettleRefund { .. }) => {
            return Err(Undecidable::NoRefusedRefund);
        }
        (_, Trigger::AskNow) => return Err(Undecidable::NothingToAsk),
        _ => return Ok(unopened(context, state, trigger)),
    };
    Ok(match (payment.status, trigger) {
        (_, Trigger::StepDue { lease }) => payment.take_step(context, *lease),
        // Another attempt was made since, and its schedule stands.
        (
            _,
            Trigger::Unanswered { attempt, .. }
            | Trigger::NotCharged { attempt, .. }
            | Trigger::RefundRefused { attempt, .. },
        ) if *attempt != payment.attempts => to(payment),
        (_, Trigger::Unanswered { error, .. }) => payment.retry_later(context, Some(error)),
        (_, Trigger::RefundRefused { reason, .. }) => payment.refund_refused(reason),
        (_, Trigger::RetryRefund(decision)) => payment.refund_retried(decision)?,
        (_, Trigger::SettleRefund { decision, reference }) => {
            payment.refund_settled(context, decision, reference)?
        }
        (_, Trigger::AskNow) => payment.asked_now()?,
        (PaymentStatus::Processing, trigger) => payment.while_processing(context, trigger),
        (PaymentStatus::Approved, trigger) => payment.while_approved(context, trigger),
        (PaymentStatus::Declined | PaymentStatus::Failed | PaymentStatus::Cancelled, trigger) => {
            payment.after_its_end(context, trigger)
        }
        (PaymentStatus::Refunded, _) => to(payment),
    })
}

/// What follows from a trigger when there is no payment yet.
fn unopened(context: &Context<'_>, state: &PaymentState, trigger: &Trigger) -> Transition {
    match (state, trigger) {
        (PaymentState::Unknown, Trigger::OrderCreated { owner, amount, expires_at, lease }) => {
            let payment = Payment::open(context, owner.clone(), *amount, *expires_at);
            match lease {
                _ if expires_at.is_some_and(|expires_at| expires_at <= context.now) => {
                    payment.cancelled(context, None)
                }
                Some(lease) => payment.take_step(context, *lease),
                None => to(payment),
            }
        }
        // The cancellation was here first: this order is never charged.
        (PaymentState::CancelledEarly(_), Trigger::OrderCreated { owner, amount, expires_at, .. }) => {
            Payment::open(context, owner.clone(), *amount, *expires_at).cancelled(context, None)
        }
        // It comes from the order service, which knows whose the order is.
        (PaymentState::Unknown, Trigger::OrderCancelled) => {
            Transition::to(state.cancelled_early_by(OwnerFilter::Any))
        }
        _ => Transition::to(state.clone()),
    }
}

/// The payment stands like this from now on, which is no other service's business.
pub(super) const fn to(payment: Payment) -> Transition {
    Transition::to(PaymentState::Known(payment))
}

impl Payment {
    fn open(context: &Context<'_>, owner: Owner, amount: Money, expires_at: Option<Timestamp>) -> Self {
        Self {
            owner,
            amount,
            status: PaymentStatus::Processing,
            next: Some(NextStep { step: Step::Charge, due: Due::Now, reason: StepReason::New }),
            attempts: 0,
            last_charge: LastCharge::Arrived,
            expiry: expires_at.map_or(Expiry::Ahead, Expiry::At),
            cancel_requested: false,
            transaction_id: None,
            last_error: None,
            refund: Refund::Ordinary,
            refund_records: Vec::new(),
            cause: context.cause.clone(),
        }
    }

    /// The outcome of the charge is not known yet.
    fn while_processing(self, context: &Context<'_>, trigger: &Trigger) -> Transition {
        let order_id = context.order_id;
        match trigger {
            Trigger::OrderCancelled if self.attempts == 0 => self.cancelled(context, None),
            Trigger::OrderCancelled => to(Self { cancel_requested: true, ..self }),
            Trigger::Approved { transaction_id } => {
                let transaction_id = transaction_id.clone();
                let event = PaymentApproved { order_id, transaction_id: transaction_id.clone() };
                let approved = Self { transaction_id: Some(transaction_id), ..self };
                if approved.cancel_requested {
                    approved.with_step(Step::Refund).moved(PaymentStatus::Approved, event)
                } else {
                    approved.without_step().moved(PaymentStatus::Approved, event)
                }
            }
            Trigger::Declined { transaction_id, reason } => {
                let declined = Self { last_error: Some(reason.clone()), ..self };
                if declined.cancel_requested {
                    return declined.cancelled(context, Some(transaction_id.clone()));
                }
                let event = PaymentDeclined { order_id, reason: reason.clone() };
                Self { transaction_id: Some(transaction_id.clone()), ..declined }
                    .without_step()
                    .moved(PaymentStatus::Declined, event)
            }
            Trigger::Failed { error } => {
                let event = PaymentFailed { order_id, error: error.clone() };
                Self { last_error: Some(error.clone()), transaction_id: None, ..self }
                    .without_step()
                    .moved(PaymentStatus::Failed, event)
            }
            Trigger::NotCharged { .. } if self.may_be_charged() => to(self.with_step(Step::Charge)),
            // Only if no charge can still arrive does "no charge" mean that there is none and will be none.
            Trigger::NotCharged { charge_in_transit: false, .. } => {
                let last_look =
                    NextStep { step: Step::Lookup, due: Due::After(LAST_LOOK), reason: StepReason::New };
                let event = PaymentCancelled { order_id, transaction_id: None };
                Self { next: Some(last_look), ..self }.moved(PaymentStatus::Cancelled, event)
            }
            Trigger::NotCharged { .. } => self.retry_later(context, None),
            _ => to(self),
        }
    }

    /// The provider has the money.
    fn while_approved(self, context: &Context<'_>, trigger: &Trigger) -> Transition {
        match trigger {
            // The refund belongs to the cancellation, which follows from the order.
            Trigger::OrderCancelled if !self.cancel_requested => {
                let trace = context.cause.trace.following(&self.cause.trace);
                let cause = Cause { trace, ..context.cause.clone() };
                to(Self { cancel_requested: true, cause, ..self }.with_step(Step::Refund))
            }
            Trigger::Refunded => self.refunded(context),
            _ => to(self),
        }
    }

    /// The payment ended without money. Should some have been taken after all, it goes back, and the status stays.
    fn after_its_end(self, context: &Context<'_>, trigger: &Trigger) -> Transition {
        match trigger {
            Trigger::Approved { transaction_id } if self.transaction_id.as_ref() != Some(transaction_id) => {
                to(Self { transaction_id: Some(transaction_id.clone()), ..self }.with_step(Step::Refund))
            }
            Trigger::Refunded if self.owes_refund() => self.refunded(context),
            // The last look: still in transit, or none was taken and none will be.
            Trigger::NotCharged { charge_in_transit: true, .. } => self.retry_later(context, None),
            Trigger::NotCharged { .. } | Trigger::Declined { .. } | Trigger::Failed { .. }
                if self.step() == Some(Step::Lookup) =>
            {
                to(self.without_step())
            }
            _ => to(self),
        }
    }

    /// Whether a charge may still be begun.
    pub(super) fn may_be_charged(&self) -> bool {
        !self.cancel_requested && self.expiry != Expiry::Passed
    }

    /// Ends the payment of an order that is cancelled, or will be since its time is over, without money.
    pub(super) fn cancelled(self, context: &Context<'_>, transaction_id: Option<String>) -> Transition {
        let event = PaymentCancelled { order_id: context.order_id, transaction_id: transaction_id.clone() };
        Self { cancel_requested: true, transaction_id, ..self }
            .without_step()
            .moved(PaymentStatus::Cancelled, event)
    }

    /// The status is this one from now on, and the order service learns of it.
    pub(super) fn moved(self, status: PaymentStatus, event: impl Into<Event>) -> Transition {
        to(Self { status, ..self }).with_event(event)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const LEASE: Duration = Duration::from_secs(10);

    /// The transition of the one payment that the tests are about.
    pub(in crate::domain) fn try_apply(
        state: &PaymentState,
        trigger: &Trigger,
    ) -> Result<Transition, Undecidable> {
        let cause = Cause::default();
        let context = Context { order_id: Uuid::nil().into(), cause: &cause, now: Timestamp::now() };
        transition(&context, state, trigger)
    }

    pub(in crate::domain) fn apply(state: &PaymentState, trigger: &Trigger) -> Transition {
        try_apply(state, trigger).unwrap()
    }

    /// The answer to an attempt.
    pub(in crate::domain) fn refused(attempt: u32) -> Trigger {
        Trigger::RefundRefused { attempt, reason: "account closed".into() }
    }

    pub(in crate::domain) fn step_due() -> Trigger {
        Trigger::StepDue { lease: LEASE }
    }

    pub(in crate::domain) fn unanswered() -> Trigger {
        Trigger::Unanswered { attempt: 1, error: "no answer in time".into() }
    }

    fn created_with(expires_at: Option<Timestamp>, lease: Option<Duration>) -> Trigger {
        let amount = "9.99".parse().unwrap();
        Trigger::OrderCreated { owner: Owner::anonymous(), amount, expires_at, lease }
    }

    pub(in crate::domain) fn created() -> Trigger {
        created_with(None, None)
    }

    pub(in crate::domain) fn approved() -> Trigger {
        Trigger::Approved { transaction_id: "t".into() }
    }

    pub(in crate::domain) fn declined() -> Trigger {
        Trigger::Declined { transaction_id: "t".into(), reason: "no".into() }
    }

    pub(in crate::domain) fn failed() -> Trigger {
        Trigger::Failed { error: "broken".into() }
    }

    pub(in crate::domain) fn run(triggers: &[Trigger]) -> (PaymentState, Vec<Event>) {
        let mut state = PaymentState::Unknown;
        let mut emitted = Vec::new();
        for trigger in triggers {
            let transition = apply(&state, trigger);
            state = transition.next;
            emitted.extend(transition.event);
        }
        (state, emitted)
    }

    #[test]
    fn the_table_of_the_contract_holds() {
        use PaymentStatus as S;
        use Trigger::{OrderCancelled, Refunded};
        let conclusive = Trigger::NotCharged { attempt: 1, charge_in_transit: false };
        let in_flight = Trigger::NotCharged { attempt: 1, charge_in_transit: true };
        let outdated = Trigger::NotCharged { attempt: 0, charge_in_transit: false };
        for (triggers, status, step, events) in [
            (vec![created()], S::Processing, Some(Step::Charge), 0),
            (vec![created(), step_due()], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), step_due(), approved()], S::Approved, None, 1),
            (vec![created(), step_due(), declined()], S::Declined, None, 1),
            (vec![created(), step_due(), failed()], S::Failed, None, 1),
            (vec![created(), step_due(), unanswered()], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), step_due(), in_flight.clone()], S::Processing, Some(Step::Charge), 0),
            // Cancelled before the charge began, while it was under way, after it.
            (vec![created(), OrderCancelled], S::Cancelled, None, 1),
            (vec![created(), step_due(), OrderCancelled], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), step_due(), OrderCancelled, declined()], S::Cancelled, None, 1),
            (vec![created(), step_due(), OrderCancelled, approved()], S::Approved, Some(Step::Refund), 1),
            (vec![created(), step_due(), OrderCancelled, approved(), Refunded], S::Refunded, None, 2),
            (vec![created(), step_due(), OrderCancelled, in_flight], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), step_due(), OrderCancelled, outdated], S::Processing, Some(Step::Lookup), 0),
            (
                vec![created(), step_due(), OrderCancelled, conclusive.clone()],
                S::Cancelled,
                Some(Step::Lookup),
                1,
            ),
            (vec![created(), step_due(), approved(), OrderCancelled], S::Approved, Some(Step::Refund), 1),
            (vec![created(), step_due(), approved(), OrderCancelled, Refunded], S::Refunded, None, 2),
            (vec![created(), step_due(), declined(), OrderCancelled], S::Declined, None, 1),
            (vec![created(), step_due(), failed(), OrderCancelled], S::Failed, None, 1),
            // The cancellation overtook the order.
            (vec![OrderCancelled, created()], S::Cancelled, None, 1),
            (vec![OrderCancelled, created(), step_due()], S::Cancelled, None, 1),
        ] {
            let (state, emitted) = run(&triggers);
            let payment = state.known().unwrap();
            assert_eq!((payment.status, payment.step()), (status, step), "{triggers:?}");
            assert_eq!(emitted.len(), events, "{triggers:?}");
        }
    }

    #[test]
    fn a_call_tells_why_it_is_made() {
        use StepReason::{LeaseLapsed, New, Retry};
        use Trigger::OrderCancelled;
        let not_charged = Trigger::NotCharged { attempt: 2, charge_in_transit: true };
        for (triggers, expected) in [
            (vec![created()], New),
            (vec![created(), step_due()], LeaseLapsed),
            (vec![created(), step_due(), unanswered()], Retry),
            (vec![created(), step_due(), unanswered(), step_due()], LeaseLapsed),
            // A charge that the provider does not know is a new step; so is a refund, however often the provider was asked.
            (vec![created(), step_due(), unanswered(), step_due(), not_charged], New),
            (vec![created(), step_due(), approved(), OrderCancelled], New),
        ] {
            let mut state = PaymentState::Unknown;
            for trigger in &triggers {
                // Whatever the next step waits for, its time has come.
                if let PaymentState::Known(Payment { next: Some(next), .. }) = &mut state {
                    next.due = Due::Reached;
                }
                state = apply(&state, trigger).next;
            }
            let next = state.known().and_then(|payment| payment.next).expect("there is a next step");
            assert_eq!(next.reason, expected, "{triggers:?}");
        }
    }

    /// So that the model check need not tell them apart.
    #[test]
    fn a_charge_that_is_taken_at_once_is_opened_and_taken() {
        let cause = Cause::default();
        let now = Timestamp::now();
        let context = Context { order_id: Uuid::nil().into(), cause: &cause, now };
        for state in [PaymentState::Unknown, PaymentState::Unknown.cancelled_early_by(OwnerFilter::Any)] {
            for expires_at in [None, Some(now), Some(now + LEASE)] {
                let created = |lease| created_with(expires_at, lease);
                let at_once = transition(&context, &state, &created(Some(LEASE))).unwrap();
                let opened = transition(&context, &state, &created(None)).unwrap();
                let taken = transition(&context, &opened.next, &step_due()).unwrap();
                assert_eq!((&at_once.next, &at_once.call), (&taken.next, &taken.call));
                assert_eq!(at_once.event, opened.event);
                assert_eq!(taken.event, None);
            }
        }
    }

    #[test]
    fn money_that_comes_after_the_end_goes_back() {
        let late = [created(), step_due(), declined(), Trigger::Approved { transaction_id: "late".into() }];
        let (state, _) = run(&late);
        let payment = state.known().unwrap();
        assert_eq!((payment.status, payment.step()), (PaymentStatus::Declined, Some(Step::Refund)));
        let done = apply(&state, &Trigger::Refunded).next;
        let payment = done.known().unwrap();
        assert_eq!((payment.status, payment.step()), (PaymentStatus::Declined, None));
    }

    #[test]
    fn a_cancelled_payment_is_looked_at_once_more() {
        let not_found = |attempt| Trigger::NotCharged { attempt, charge_in_transit: false };
        let closed = [created(), step_due(), Trigger::OrderCancelled, not_found(1)];
        let (state, events) = run(&closed);
        let last_look = NextStep { step: Step::Lookup, due: Due::After(LAST_LOOK), reason: StepReason::New };
        assert_eq!(state.known().unwrap().next, Some(last_look));
        assert_eq!(events.len(), 1);
        for (found, step) in [
            (not_found(1), None),
            (declined(), None),
            (failed(), None),
            (unanswered(), Some(Step::Lookup)),
            (Trigger::NotCharged { attempt: 1, charge_in_transit: true }, Some(Step::Lookup)),
            (approved(), Some(Step::Refund)),
        ] {
            let after = apply(&state, &found);
            let payment = after.next.known().unwrap();
            assert_eq!((payment.status, payment.step()), (PaymentStatus::Cancelled, step), "{found:?}");
            assert_eq!(after.event, None);
        }
    }

    #[test]
    fn a_step_is_taken_only_when_it_is_due_and_then_leased() {
        let (state, _) = run(&[created()]);
        let taken = apply(&state, &step_due());
        let call = taken.call.unwrap();
        assert_eq!((call.step, call.attempt, call.charge_in_transit), (Step::Charge, 1, false));
        let leased =
            Some(NextStep { step: Step::Lookup, due: Due::After(LEASE), reason: StepReason::LeaseLapsed });
        assert_eq!(taken.next.known().unwrap().next, leased);

        let again = apply(&taken.next, &step_due());
        assert_eq!((again.call, again.next), (None, taken.next));
    }

    #[test]
    fn a_lookup_knows_whether_a_charge_may_still_arrive() {
        for (last_charge, expected) in
            [(LastCharge::Arrived, false), (LastCharge::InTransit, true), (LastCharge::SentNow, true)]
        {
            let (state, _) = run(&[created(), step_due()]);
            let next =
                Some(NextStep { step: Step::Lookup, due: Due::Reached, reason: StepReason::LeaseLapsed });
            let lapsed = Payment { next, last_charge, ..state.known().unwrap().clone() };
            let call = apply(&PaymentState::Known(lapsed), &step_due()).call.unwrap();
            assert_eq!((call.step, call.attempt, call.charge_in_transit), (Step::Lookup, 2, expected));
        }
    }

    #[test]
    fn a_step_that_brought_nothing_waits_and_its_error_is_kept() {
        let (state, _) = run(&[created(), step_due(), unanswered()]);
        let payment = state.known().unwrap();
        assert!(
            matches!(payment.next, Some(NextStep { step: Step::Lookup, due: Due::After(delay), .. }) if delay < LEASE)
        );
        assert_eq!(payment.last_error.as_deref(), Some("no answer in time"));
        // What the order service says meanwhile does not bring it forward.
        for trigger in [created(), Trigger::OrderCancelled] {
            assert_eq!(apply(&state, &trigger).next.known().unwrap().next, payment.next, "{trigger:?}");
        }
    }

    #[test]
    fn what_becomes_of_an_attempt_changes_nothing_once_there_is_another() {
        let (state, _) = run(&[created(), step_due()]);
        let late = [
            Trigger::Unanswered { attempt: 0, error: "e".into() },
            Trigger::NotCharged { attempt: 0, charge_in_transit: false },
            Trigger::NotCharged { attempt: 0, charge_in_transit: true },
        ];
        for trigger in late {
            assert_eq!(apply(&state, &trigger).next, state, "{trigger:?}");
        }
    }

    fn any_trigger() -> impl Strategy<Value = Trigger> {
        prop_oneof![
            Just(created()),
            Just(Trigger::OrderCancelled),
            Just(step_due()),
            Just(approved()),
            Just(declined()),
            Just(failed()),
            (0..3_u32, any::<bool>())
                .prop_map(|(attempt, charge_in_transit)| Trigger::NotCharged { attempt, charge_in_transit }),
            Just(Trigger::Refunded),
            (0..3_u32).prop_map(refused),
            Just(unanswered()),
            Just(Trigger::AskNow),
        ]
    }

    /// The state after a trigger; the same if it is a decision that is not possible.
    fn after(state: &PaymentState, trigger: &Trigger) -> PaymentState {
        try_apply(state, trigger).map_or_else(|_| state.clone(), |transition| transition.next)
    }

    #[test]
    fn an_order_that_expired_before_it_came_is_not_charged() {
        let now = Timestamp::now();
        let cause = Cause::default();
        let context = Context { order_id: Uuid::nil().into(), cause: &cause, now };
        let created = created_with(Some(now), None);
        let transition = transition(&context, &PaymentState::Unknown, &created).unwrap();
        let payment = transition.next.known().unwrap();
        assert_eq!((payment.status, payment.next), (PaymentStatus::Cancelled, None));
    }

    #[test]
    fn a_charge_that_was_sent_in_time_is_looked_up_afterwards_and_not_sent_again() {
        let taken = apply(&apply(&PaymentState::Unknown, &created()).next, &step_due()).next;
        let PaymentState::Known(payment) = taken else { panic!("it is known") };
        let expired = PaymentState::Known(Payment { expiry: Expiry::Passed, ..payment });
        let lost = apply(&expired, &Trigger::NotCharged { attempt: 1, charge_in_transit: true }).next;
        assert_eq!(lost.known().unwrap().step(), Some(Step::Lookup));
        let never = apply(&expired, &Trigger::NotCharged { attempt: 1, charge_in_transit: false }).next;
        assert_eq!(never.known().unwrap().status, PaymentStatus::Cancelled);
    }

    proptest! {
        #[test]
        fn a_final_status_never_moves(triggers in prop::collection::vec(any_trigger(), 0..12)) {
            let status = |state: &PaymentState| state.known().map(|payment| payment.status);
            let mut state = PaymentState::Unknown;
            for trigger in triggers {
                let before = status(&state);
                state = after(&state, &trigger);
                if before.is_some_and(PaymentStatus::is_final) {
                    prop_assert_eq!(status(&state), before);
                }
            }
        }

        #[test]
        fn nothing_is_charged_once_the_order_is_cancelled_before_the_charge(
            triggers in prop::collection::vec(any_trigger(), 0..12),
        ) {
            let mut state = apply(&PaymentState::Unknown, &Trigger::OrderCancelled).next;
            for trigger in triggers {
                state = after(&state, &trigger);
                prop_assert!(state.known().is_none_or(|payment| payment.step() != Some(Step::Charge)));
            }
        }

        #[test]
        fn who_asks_now_changes_when_the_provider_is_asked_and_nothing_else(
            triggers in prop::collection::vec(any_trigger(), 0..12),
        ) {
            let state = triggers.iter().fold(PaymentState::Unknown, |state, trigger| after(&state, trigger));
            let Ok(asked) = try_apply(&state, &Trigger::AskNow) else { return Ok(()) };
            prop_assert_eq!((asked.event, asked.call), (None, None));
            let mut asked = asked.next;
            if let (PaymentState::Known(asked), Some(before)) = (&mut asked, state.known()) {
                let next = before.next.expect("there is something to ask");
                prop_assert!(next.due.is_reached() || next.reason == StepReason::Retry);
                asked.next = asked.next.map(|asked| NextStep { step: asked.step, ..next });
            }
            prop_assert_eq!(asked, state);
        }
    }
}
