//! The payment's part of the saga, as a pure function.
//!
//! ```text
//! unknown ── order.created ──→ PROCESSING ── approved ──→ APPROVED ── order cancelled ──→ (refund) ──→ REFUNDED
//!    │                             ├── declined ──→ DECLINED, or CANCELLED if the order was cancelled meanwhile
//!    │                             ├── failed ──→ FAILED
//!    │                             └── order cancelled, nothing charged ──→ CANCELLED
//!    └── order.cancelled ──→ cancelled early ── order.created ──→ CANCELLED
//! ```
//!
//! What the provider is to be asked next is part of the state ([`Step`]). It is committed before the provider is
//! called, so a crash at any point leaves a payment that somebody else goes on with: a charge that was begun is
//! looked up before it is ever sent again, and it is always sent under the same key.

use contracts::event::{PaymentApproved, PaymentCancelled, PaymentDeclined, PaymentFailed, PaymentRefunded};
use contracts::{Event, Money, OrderId, PaymentStatus};
use strum::{EnumString, IntoStaticStr};

/// What the payment service knows about the payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Saga {
    /// Nothing.
    Unknown,
    /// That the order is cancelled, before anything else was heard of it.
    CancelledEarly,
    /// The payment.
    Known(Payment),
}

impl Saga {
    /// What the provider is to be asked next, if anything.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        match self {
            Self::Known(payment) => payment.step,
            Self::Unknown | Self::CancelledEarly => None,
        }
    }
}

/// A payment, as far as the saga is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payment {
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// What the provider is to be asked next, if anything.
    pub step: Option<Step>,
    /// How often a step was taken. From the first on, money may have been taken; and the number tells whether an answer
    /// belongs to the step that was taken last (a fencing token).
    pub attempts: u32,
    /// Whether the order is cancelled.
    pub cancel_requested: bool,
    /// The provider's reference.
    pub transaction_id: Option<String>,
}

/// What the provider is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, EnumString)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Step {
    /// Take the money.
    Charge,
    /// Tell what became of the charge.
    Lookup,
    /// Give the money back.
    Refund,
}

/// What can happen to a payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Trigger {
    /// The order was placed.
    OrderCreated {
        /// What is to be charged.
        amount: Money,
    },
    /// The order was cancelled.
    OrderCancelled,
    /// The step is about to be carried out. Committed before the provider is called.
    StepTaken,
    /// The provider has the money.
    Approved {
        /// Its reference.
        transaction_id: String,
    },
    /// The provider refused.
    Declined {
        /// Its reference.
        transaction_id: String,
        /// Its words.
        reason: String,
    },
    /// The provider could not carry out the charge.
    Failed {
        /// Its words.
        error: String,
    },
    /// The provider knows of no charge under our key.
    NotCharged {
        /// The number of the step that asked. If another step was taken since, it may have charged.
        attempt: u32,
        /// Whether any charge that was sent off before it asked can no longer be on its way.
        settled: bool,
    },
    /// The provider gave the money back.
    Refunded,
    /// No answer. It may have been done or not.
    Unanswered,
}

/// What a trigger makes of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What is known from now on.
    pub next: Saga,
    /// What the other services are told.
    pub emit: Option<Event>,
    /// Whether the next step is to wait, because the last one brought nothing.
    pub wait: bool,
}

impl Transition {
    const fn to(next: Saga, emit: Option<Event>) -> Self {
        Self { next, emit, wait: false }
    }
}

/// What `trigger` makes of the payment of the order `order_id`.
///
/// Total and idempotent: a trigger that comes again, or too late, changes nothing and emits nothing. Only PROCESSING
/// and APPROVED ever change.
#[must_use]
pub fn transition(order_id: OrderId, saga: &Saga, trigger: Trigger) -> Transition {
    let payment = match (saga, &trigger) {
        (Saga::Unknown, Trigger::OrderCreated { amount }) => return Payment::new(*amount).unchanged(),
        // The mark that the cancellation left: this order is never charged.
        (Saga::CancelledEarly, Trigger::OrderCreated { amount }) => {
            return Payment::new(*amount).closed(order_id, None);
        }
        (Saga::Unknown, Trigger::OrderCancelled) => return Transition::to(Saga::CancelledEarly, None),
        (Saga::Unknown | Saga::CancelledEarly, _) => return Transition::to(saga.clone(), None),
        (Saga::Known(payment), _) => payment.clone(),
    };
    match (payment.status, trigger) {
        (_, Trigger::StepTaken) => payment.taken(),
        (_, Trigger::Unanswered) => Transition { wait: true, ..payment.unchanged() },
        (PaymentStatus::Processing, trigger) => payment.while_processing(order_id, trigger),
        (PaymentStatus::Approved, trigger) => payment.while_approved(order_id, &trigger),
        (PaymentStatus::Declined | PaymentStatus::Failed | PaymentStatus::Cancelled, trigger) => {
            payment.after_closing(trigger)
        }
        (PaymentStatus::Refunded, _) => payment.unchanged(),
    }
}

impl Payment {
    const fn new(amount: Money) -> Self {
        Self {
            amount,
            status: PaymentStatus::Processing,
            step: Some(Step::Charge),
            attempts: 0,
            cancel_requested: false,
            transaction_id: None,
        }
    }

    /// The answer to the charge is awaited.
    fn while_processing(self, order_id: OrderId, trigger: Trigger) -> Transition {
        match trigger {
            Trigger::OrderCancelled if self.attempts == 0 => self.closed(order_id, None),
            Trigger::OrderCancelled => Self { cancel_requested: true, ..self }.unchanged(),
            Trigger::Approved { transaction_id } => {
                let event = PaymentApproved { order_id, transaction_id: transaction_id.clone() };
                let step = self.cancel_requested.then_some(Step::Refund);
                self.moved(PaymentStatus::Approved, step, Some(transaction_id), event)
            }
            Trigger::Declined { transaction_id, .. } if self.cancel_requested => {
                self.closed(order_id, Some(transaction_id))
            }
            Trigger::Declined { transaction_id, reason } => {
                let event = PaymentDeclined { order_id, reason };
                self.moved(PaymentStatus::Declined, None, Some(transaction_id), event)
            }
            Trigger::Failed { error } => {
                self.moved(PaymentStatus::Failed, None, None, PaymentFailed { order_id, error })
            }
            Trigger::NotCharged { .. } if !self.cancel_requested => {
                Self { step: Some(Step::Charge), ..self }.unchanged()
            }
            // Only if nobody can have charged meanwhile does "no charge" mean that there is none and will be none.
            Trigger::NotCharged { attempt, settled: true } if attempt == self.attempts => {
                self.closed(order_id, None)
            }
            Trigger::NotCharged { .. } => Transition { wait: true, ..self.unchanged() },
            _ => self.unchanged(),
        }
    }

    /// The provider has the money.
    fn while_approved(self, order_id: OrderId, trigger: &Trigger) -> Transition {
        match trigger {
            Trigger::OrderCancelled if !self.cancel_requested => {
                Self { cancel_requested: true, step: Some(Step::Refund), ..self }.unchanged()
            }
            Trigger::Refunded => {
                let transaction_id = self.transaction_id.clone();
                let event =
                    PaymentRefunded { order_id, transaction_id: transaction_id.clone().unwrap_or_default() };
                self.moved(PaymentStatus::Refunded, None, transaction_id, event)
            }
            _ => self.unchanged(),
        }
    }

    /// The payment ended without money. Should some have been taken after all, it goes back, and the status stays.
    fn after_closing(self, trigger: Trigger) -> Transition {
        match trigger {
            Trigger::Approved { transaction_id } if self.transaction_id.as_ref() != Some(&transaction_id) => {
                Self { step: Some(Step::Refund), transaction_id: Some(transaction_id), ..self }.unchanged()
            }
            Trigger::Refunded => Self { step: None, ..self }.unchanged(),
            _ => self.unchanged(),
        }
    }

    /// The step is in somebody's hands now. Should they never report back, a charge is to be looked up before it is
    /// sent again; asking and refunding can simply be done again.
    fn taken(self) -> Transition {
        let step = match self.step {
            Some(Step::Charge) => Some(Step::Lookup),
            Some(Step::Lookup | Step::Refund) | None => self.step,
        };
        Self { step, attempts: self.attempts + 1, ..self }.unchanged()
    }

    /// Ends the payment of a cancelled order without money.
    fn closed(self, order_id: OrderId, transaction_id: Option<String>) -> Transition {
        let event = PaymentCancelled { order_id, transaction_id: transaction_id.clone() };
        Self { cancel_requested: true, ..self }.moved(PaymentStatus::Cancelled, None, transaction_id, event)
    }

    fn moved(
        self,
        status: PaymentStatus,
        step: Option<Step>,
        transaction_id: Option<String>,
        event: impl Into<Event>,
    ) -> Transition {
        Transition::to(Saga::Known(Self { status, step, transaction_id, ..self }), Some(event.into()))
    }

    /// The same status, and nobody is told anything.
    const fn unchanged(self) -> Transition {
        Transition::to(Saga::Known(self), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn id() -> OrderId {
        Uuid::nil().into()
    }

    fn created() -> Trigger {
        Trigger::OrderCreated { amount: "9.99".parse().unwrap() }
    }

    fn approved() -> Trigger {
        Trigger::Approved { transaction_id: "t".into() }
    }

    fn declined() -> Trigger {
        Trigger::Declined { transaction_id: "t".into(), reason: "no".into() }
    }

    fn failed() -> Trigger {
        Trigger::Failed { error: "broken".into() }
    }

    fn run(triggers: &[Trigger]) -> (Saga, Vec<Event>) {
        let mut saga = Saga::Unknown;
        let mut emitted = Vec::new();
        for trigger in triggers {
            let transition = transition(id(), &saga, trigger.clone());
            saga = transition.next;
            emitted.extend(transition.emit);
        }
        (saga, emitted)
    }

    fn known(saga: &Saga) -> Option<&Payment> {
        match saga {
            Saga::Known(payment) => Some(payment),
            _ => None,
        }
    }

    #[test]
    fn the_table_of_the_contract_holds() {
        use PaymentStatus as S;
        use Trigger::{OrderCancelled, Refunded, StepTaken};
        let conclusive = Trigger::NotCharged { attempt: 1, settled: true };
        let in_flight = Trigger::NotCharged { attempt: 1, settled: false };
        let outdated = Trigger::NotCharged { attempt: 0, settled: true };
        for (triggers, status, step, events) in [
            (vec![created()], S::Processing, Some(Step::Charge), 0),
            (vec![created(), StepTaken], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), StepTaken, approved()], S::Approved, None, 1),
            (vec![created(), StepTaken, declined()], S::Declined, None, 1),
            (vec![created(), StepTaken, failed()], S::Failed, None, 1),
            (vec![created(), StepTaken, Trigger::Unanswered], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), StepTaken, in_flight.clone()], S::Processing, Some(Step::Charge), 0),
            // Cancelled before the charge began, while it was under way, after it.
            (vec![created(), OrderCancelled], S::Cancelled, None, 1),
            (vec![created(), StepTaken, OrderCancelled], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), StepTaken, OrderCancelled, declined()], S::Cancelled, None, 1),
            (vec![created(), StepTaken, OrderCancelled, approved()], S::Approved, Some(Step::Refund), 1),
            (vec![created(), StepTaken, OrderCancelled, approved(), Refunded], S::Refunded, None, 2),
            (vec![created(), StepTaken, OrderCancelled, in_flight], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), StepTaken, OrderCancelled, outdated], S::Processing, Some(Step::Lookup), 0),
            (vec![created(), StepTaken, OrderCancelled, conclusive], S::Cancelled, None, 1),
            (vec![created(), StepTaken, approved(), OrderCancelled], S::Approved, Some(Step::Refund), 1),
            (vec![created(), StepTaken, approved(), OrderCancelled, Refunded], S::Refunded, None, 2),
            (vec![created(), StepTaken, declined(), OrderCancelled], S::Declined, None, 1),
            (vec![created(), StepTaken, failed(), OrderCancelled], S::Failed, None, 1),
            // The cancellation overtook the order.
            (vec![OrderCancelled, created()], S::Cancelled, None, 1),
            (vec![OrderCancelled, created(), StepTaken], S::Cancelled, None, 1),
        ] {
            let (saga, emitted) = run(&triggers);
            let payment = known(&saga).unwrap();
            assert_eq!((payment.status, payment.step), (status, step), "{triggers:?}");
            assert_eq!(emitted.len(), events, "{triggers:?}");
        }
    }

    #[test]
    fn money_that_comes_after_the_end_goes_back() {
        let late =
            [created(), Trigger::StepTaken, declined(), Trigger::Approved { transaction_id: "late".into() }];
        let (saga, _) = run(&late);
        let payment = known(&saga).unwrap();
        assert_eq!((payment.status, payment.step), (PaymentStatus::Declined, Some(Step::Refund)));
        let done = transition(id(), &saga, Trigger::Refunded);
        let payment = known(&done.next).unwrap();
        assert_eq!((payment.status, payment.step), (PaymentStatus::Declined, None));
    }

    fn any_trigger() -> impl Strategy<Value = Trigger> {
        prop_oneof![
            Just(created()),
            Just(Trigger::OrderCancelled),
            Just(Trigger::StepTaken),
            Just(approved()),
            Just(declined()),
            Just(failed()),
            (0..3_u32, any::<bool>()).prop_map(|(attempt, settled)| Trigger::NotCharged { attempt, settled }),
            Just(Trigger::Refunded),
            Just(Trigger::Unanswered),
        ]
    }

    proptest! {
        #[test]
        fn a_final_status_never_moves(triggers in prop::collection::vec(any_trigger(), 0..12)) {
            let mut saga = Saga::Unknown;
            for trigger in triggers {
                let before = known(&saga).map(|payment| payment.status);
                saga = transition(id(), &saga, trigger).next;
                if before.is_some_and(PaymentStatus::is_final) {
                    prop_assert_eq!(known(&saga).map(|payment| payment.status), before);
                }
            }
        }

        #[test]
        fn nothing_is_charged_once_the_order_is_cancelled_before_the_charge(
            triggers in prop::collection::vec(any_trigger(), 0..12),
        ) {
            let mut saga = transition(id(), &Saga::Unknown, Trigger::OrderCancelled).next;
            for trigger in triggers {
                saga = transition(id(), &saga, trigger).next;
                prop_assert!(known(&saga).is_none_or(|payment| payment.step != Some(Step::Charge)));
            }
        }
    }
}
