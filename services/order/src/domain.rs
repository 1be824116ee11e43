//! The order's part of the saga, as a pure function.
//!
//! ```text
//! unknown ── place ──→ PENDING_PAYMENT ── approved ──→ PAID ── cancel ──→ CANCELLED
//!    │                      ├── declined, cancel, deadline ──────────────↗
//!    │                      └── failed ──→ FAILED
//!    └── cancel ──→ cancelled early ── place ──→ CANCELLED
//! ```
//!
//! The applier, the property tests and the model check all call [`transition`]; the status of an order is decided
//! nowhere else.

use std::convert::Infallible;
use std::time::Duration;

use chassis::aggregate::{Cause, Context, State};
use contracts::event::{OrderCancelled, OrderCreated};
use contracts::{CancelReason, Money, OrderStatus, Owner, OwnerFilter, UserId};
use thiserror::Error;

/// What the order service knows about an order.
pub type OrderState = State<Order>;

/// An order, as far as the saga is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Whose it is.
    pub owner: Owner,
    /// Who ordered.
    pub user_id: UserId,
    /// What is to be paid.
    pub total: Money,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was cancelled; `Some` exactly when it was.
    pub cancel_reason: Option<CancelReason>,
    /// Where the order came from: what its deadline causes joins the saga's correlation and trace.
    pub cause: Cause,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The customer places it.
    Place {
        /// Whose it is.
        owner: Owner,
        /// Who orders.
        user_id: UserId,
        /// What is to be paid.
        total: Money,
        /// How long the payment may take.
        pay_within: Duration,
    },
    /// The customer cancels it.
    Cancel {
        /// Whose it must be.
        by: OwnerFilter,
    },
    /// The saga's deadline passed without a payment result.
    DeadlinePassed,
    /// The provider took the money.
    PaymentApproved,
    /// The provider refused.
    PaymentDeclined,
    /// The provider could not carry out the charge.
    PaymentFailed,
    /// The payment was cancelled or refunded after a cancellation: worth a line in the timeline, nothing more.
    PaymentReversed,
}

/// What follows from a trigger.
pub type Transition = chassis::aggregate::Transition<Order, Infallible>;

/// A trigger that the contract rules out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// A payment result of an order that was never placed.
    #[error("a payment result for an order that does not exist")]
    UnknownOrder,
}

/// What follows from `trigger`.
///
/// Total and idempotent: a trigger that comes again, or too late, changes nothing and emits nothing. CANCELLED and
/// FAILED never change.
pub fn transition(
    context: &Context<'_>,
    state: &OrderState,
    trigger: &Trigger,
) -> Result<Transition, Violation> {
    use OrderStatus::{Cancelled, Failed, Paid, PendingPayment};

    let order = match (state, trigger) {
        // The payment service never learned of the order, so it needs no event.
        (OrderState::CancelledEarly(by), Trigger::Place { owner, user_id, total, .. })
            if by.iter().any(|by| by.permits(owner)) =>
        {
            return Ok(placed_after_cancellation(context, owner.clone(), *user_id, *total));
        }
        (
            OrderState::Unknown | OrderState::CancelledEarly(_),
            Trigger::Place { owner, user_id, total, pay_within },
        ) => {
            return Ok(placed(context, owner.clone(), *user_id, *total, *pay_within));
        }
        (OrderState::Unknown, Trigger::Cancel { by }) => {
            return Ok(Transition::to(state.cancelled_early_by(by.clone())));
        }
        (OrderState::CancelledEarly(_), Trigger::Cancel { by }) => {
            return Ok(Transition::to(state.cancelled_early_by(by.clone())).without_history());
        }
        (OrderState::Unknown | OrderState::CancelledEarly(_), _) => return Err(Violation::UnknownOrder),
        (OrderState::Known(order), _) => order,
    };
    Ok(match (order.status, trigger) {
        // For its sender, there is no such order.
        (_, Trigger::Cancel { by }) if !by.permits(&order.owner) => {
            Transition::to(state.clone()).without_history()
        }
        (PendingPayment | Paid, Trigger::Cancel { .. }) => {
            cancelled(context, order, CancelReason::UserRequested)
        }
        (PendingPayment, Trigger::DeadlinePassed) => cancelled(context, order, CancelReason::PaymentTimeout),
        (PendingPayment, Trigger::PaymentDeclined) => {
            cancelled(context, order, CancelReason::PaymentDeclined)
        }
        (PendingPayment, Trigger::PaymentApproved) => moved(order, Paid),
        (PendingPayment, Trigger::PaymentFailed) => moved(order, Failed),
        (Cancelled | Failed, Trigger::Cancel { .. }) => Transition::to(state.clone()).without_history(),
        _ => Transition::to(state.clone()),
    })
}

fn placed(
    context: &Context<'_>,
    owner: Owner,
    user_id: UserId,
    total: Money,
    pay_within: Duration,
) -> Transition {
    let expires_at = Some(context.now + pay_within);
    let event =
        OrderCreated { order_id: context.order_id, user_id, total, expires_at, owner: Some(owner.clone()) };
    let order = Order {
        owner,
        user_id,
        total,
        status: OrderStatus::PendingPayment,
        cancel_reason: None,
        cause: context.cause.clone(),
    };
    Transition::to(OrderState::Known(order)).with_event(event)
}

fn placed_after_cancellation(
    context: &Context<'_>,
    owner: Owner,
    user_id: UserId,
    total: Money,
) -> Transition {
    Transition::to(OrderState::Known(Order {
        owner,
        user_id,
        total,
        status: OrderStatus::Cancelled,
        cancel_reason: Some(CancelReason::UserRequested),
        cause: context.cause.clone(),
    }))
}

fn cancelled(context: &Context<'_>, order: &Order, reason: CancelReason) -> Transition {
    let event = OrderCancelled { order_id: context.order_id, reason, cancelled_at: context.now };
    let order = Order { status: OrderStatus::Cancelled, cancel_reason: Some(reason), ..order.clone() };
    Transition::to(OrderState::Known(order)).with_event(event)
}

fn moved(order: &Order, status: OrderStatus) -> Transition {
    Transition::to(OrderState::Known(Order { status, ..order.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{Event, Timestamp};
    use proptest::prelude::*;
    use uuid::Uuid;

    /// The transition of the one order that the tests are about.
    fn apply(state: &OrderState, trigger: &Trigger) -> Result<Transition, Violation> {
        let cause = Cause::default();
        let context = Context { order_id: Uuid::nil().into(), cause: &cause, now: Timestamp::now() };
        transition(&context, state, trigger)
    }

    fn status(state: &OrderState) -> Option<OrderStatus> {
        state.known().map(|order| order.status)
    }

    fn place() -> Trigger {
        Trigger::Place {
            owner: Owner::anonymous(),
            user_id: Uuid::nil().into(),
            total: "9.99".parse().unwrap(),
            pay_within: Duration::from_mins(15),
        }
    }

    /// The cancellation of the order's owner.
    const fn cancel() -> Trigger {
        Trigger::Cancel { by: OwnerFilter::Any }
    }

    /// Applies triggers one after the other; returns the end and everything emitted.
    fn run(triggers: &[Trigger]) -> (OrderState, Vec<Event>) {
        let mut state = OrderState::Unknown;
        let mut emitted = Vec::new();
        for trigger in triggers {
            if let Ok(transition) = apply(&state, trigger) {
                state = transition.next;
                emitted.extend(transition.event);
            }
        }
        (state, emitted)
    }

    #[test]
    fn the_table_of_the_contract_holds() {
        use OrderStatus::{Cancelled, Failed, Paid, PendingPayment};
        use Trigger::{DeadlinePassed, PaymentApproved, PaymentDeclined, PaymentFailed};
        for (triggers, expected, events) in [
            (vec![place()], PendingPayment, 1),
            (vec![place(), PaymentApproved], Paid, 1),
            (vec![place(), PaymentDeclined], Cancelled, 2),
            (vec![place(), PaymentFailed], Failed, 1),
            (vec![place(), cancel()], Cancelled, 2),
            (vec![place(), cancel(), PaymentApproved], Cancelled, 2),
            (vec![place(), PaymentApproved, cancel()], Cancelled, 2),
            (vec![place(), PaymentFailed, cancel()], Failed, 1),
            (vec![cancel(), place()], Cancelled, 0),
            (vec![cancel(), place(), PaymentApproved], Cancelled, 0),
            (vec![place(), DeadlinePassed], Cancelled, 2),
            (vec![place(), PaymentApproved, DeadlinePassed], Paid, 1),
        ] {
            let (state, emitted) = run(&triggers);
            assert_eq!(status(&state), Some(expected), "{triggers:?}");
            assert_eq!(emitted.len(), events, "{triggers:?}");
        }
    }

    #[test]
    fn only_the_first_cancellation_is_history() {
        use Trigger::{PaymentApproved, PaymentFailed};
        for (before, expected) in [
            (vec![], true),
            (vec![cancel()], false),
            (vec![place()], true),
            (vec![place(), PaymentApproved], true),
            (vec![place(), cancel()], false),
            (vec![place(), PaymentFailed], false),
            (vec![cancel(), place()], false),
        ] {
            let (state, _) = run(&before);
            assert_eq!(apply(&state, &cancel()).unwrap().is_history, expected, "{before:?}");
        }
    }

    #[test]
    fn a_payment_result_needs_an_order() {
        assert_eq!(apply(&OrderState::Unknown, &Trigger::PaymentApproved), Err(Violation::UnknownOrder));
    }

    fn any_trigger() -> impl Strategy<Value = Trigger> {
        prop_oneof![
            Just(place()),
            Just(cancel()),
            Just(Trigger::DeadlinePassed),
            Just(Trigger::PaymentApproved),
            Just(Trigger::PaymentDeclined),
            Just(Trigger::PaymentFailed),
            Just(Trigger::PaymentReversed),
        ]
    }

    proptest! {
        #[test]
        fn a_final_status_never_moves(triggers in prop::collection::vec(any_trigger(), 0..12)) {
            let mut state = OrderState::Unknown;
            for trigger in &triggers {
                let before = status(&state);
                if let Ok(transition) = apply(&state, trigger) {
                    state = transition.next;
                }
                if before.is_some_and(OrderStatus::is_final) {
                    prop_assert_eq!(status(&state), before);
                }
            }
        }

        #[test]
        fn a_strangers_cancellation_changes_and_emits_nothing(
            triggers in prop::collection::vec(any_trigger(), 0..8),
            places in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        ) {
            let stranger: Owner = "stranger".parse().unwrap();
            let mut disturbed = triggers.clone();
            for place in places {
                let at = place.index(disturbed.len() + 1);
                disturbed.insert(at, Trigger::Cancel { by: stranger.clone().into() });
            }
            let (alone, emitted) = run(&triggers);
            let (together, also_emitted) = run(&disturbed);
            prop_assert_eq!(status(&alone), status(&together));
            let types = |events: &[Event]| events.iter().map(Event::event_type).collect::<Vec<_>>();
            prop_assert_eq!(types(&emitted), types(&also_emitted));
        }

        #[test]
        fn a_trigger_that_comes_again_changes_and_emits_nothing(
            triggers in prop::collection::vec(any_trigger(), 0..12),
        ) {
            let doubled: Vec<_> = triggers.iter().flat_map(|trigger| [trigger.clone(), trigger.clone()]).collect();
            let (once, emitted_once) = run(&triggers);
            let (twice, emitted_twice) = run(&doubled);
            prop_assert_eq!(once, twice);
            let types = |events: &[Event]| events.iter().map(Event::event_type).collect::<Vec<_>>();
            prop_assert_eq!(types(&emitted_once), types(&emitted_twice));
        }
    }
}
