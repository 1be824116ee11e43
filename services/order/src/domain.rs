//! The order's part of the saga, as a pure function.
//!
//! ```text
//! unknown ── place ──→ PENDING_PAYMENT ── approved ──→ PAID ── cancel ──→ CANCELLED
//!    │                      ├── declined, cancel, deadline ──────────────↗
//!    │                      └── failed ──→ FAILED
//!    └── cancel ──→ cancelled early ── place ──→ CANCELLED
//! ```
//!
//! The handlers, the property tests and the model check all call [`transition`]; there is no other place where the
//! status of an order is decided.

use contracts::event::{OrderCancelled, OrderCreated};
use contracts::{CancelReason, Event, Money, OrderId, OrderStatus, Timestamp, UserId};
use thiserror::Error;

/// What the order service knows about an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Saga {
    /// Nothing.
    Unknown,
    /// That it is to be cancelled, before anything else was heard of it.
    CancelledEarly,
    /// The order.
    Placed(Order),
}

/// An order, as far as the saga is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Who ordered.
    pub user_id: UserId,
    /// What is to be paid.
    pub total: Money,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was cancelled; `Some` exactly when it was.
    pub cancel_reason: Option<CancelReason>,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The customer places it.
    Place {
        /// Who orders.
        user_id: UserId,
        /// What is to be paid.
        total: Money,
    },
    /// The customer cancels it.
    Cancel,
    /// The saga's deadline passed without a payment result.
    DeadlinePassed,
    /// The provider took the money.
    PaymentApproved,
    /// The provider refused.
    PaymentDeclined,
    /// The provider could not carry out the charge.
    PaymentFailed,
    /// The payment was closed or refunded after a cancellation: worth a line in the timeline, nothing more.
    PaymentSettled,
}

/// What a trigger makes of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What is known from now on.
    pub next: Saga,
    /// What the other services are told.
    pub emit: Option<Event>,
}

/// A trigger that can't happen as long as everybody keeps to the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// A payment result of an order that was never placed.
    #[error("a payment result for an order that does not exist")]
    UnknownOrder,
}

/// What `trigger` makes of the order `id`, at the time `now`.
///
/// Total and idempotent: a trigger that comes again, or too late, changes nothing and emits nothing. CANCELLED and
/// FAILED never change.
pub fn transition(
    id: OrderId,
    saga: &Saga,
    trigger: &Trigger,
    now: Timestamp,
) -> Result<Transition, Violation> {
    use OrderStatus::{Failed, Paid, PendingPayment};

    let order = match (saga, trigger) {
        (Saga::Unknown, Trigger::Place { user_id, total }) => {
            let (user_id, total) = (*user_id, *total);
            return Ok(Transition {
                next: Saga::Placed(Order { user_id, total, status: PendingPayment, cancel_reason: None }),
                emit: Some(OrderCreated { order_id: id, user_id, total }.into()),
            });
        }
        // Nobody else ever heard of the order, so nobody needs to hear that it is cancelled.
        (Saga::CancelledEarly, Trigger::Place { user_id, total }) => {
            return Ok(Transition {
                next: Saga::Placed(Order {
                    user_id: *user_id,
                    total: *total,
                    status: OrderStatus::Cancelled,
                    cancel_reason: Some(CancelReason::UserRequested),
                }),
                emit: None,
            });
        }
        (Saga::Unknown | Saga::CancelledEarly, Trigger::Cancel) => {
            return Ok(Transition { next: Saga::CancelledEarly, emit: None });
        }
        (Saga::Unknown | Saga::CancelledEarly, _) => return Err(Violation::UnknownOrder),
        (Saga::Placed(order), _) => order,
    };

    let moved = |status| Transition { next: Saga::Placed(Order { status, ..order.clone() }), emit: None };
    let cancelled = |reason| Transition {
        next: Saga::Placed(Order {
            status: OrderStatus::Cancelled,
            cancel_reason: Some(reason),
            ..order.clone()
        }),
        emit: Some(OrderCancelled { order_id: id, reason, cancelled_at: now }.into()),
    };
    Ok(match (order.status, trigger) {
        (PendingPayment | Paid, Trigger::Cancel) => cancelled(CancelReason::UserRequested),
        (PendingPayment, Trigger::DeadlinePassed) => cancelled(CancelReason::PaymentTimeout),
        (PendingPayment, Trigger::PaymentDeclined) => cancelled(CancelReason::PaymentDeclined),
        (PendingPayment, Trigger::PaymentApproved) => moved(Paid),
        (PendingPayment, Trigger::PaymentFailed) => moved(Failed),
        _ => Transition { next: saga.clone(), emit: None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn id() -> OrderId {
        Uuid::nil().into()
    }

    fn place() -> Trigger {
        Trigger::Place { user_id: Uuid::nil().into(), total: "9.99".parse().unwrap() }
    }

    /// Applies triggers one after the other; returns the end and everything emitted.
    fn run(triggers: &[Trigger]) -> (Saga, Vec<Event>) {
        let mut saga = Saga::Unknown;
        let mut emitted = Vec::new();
        for trigger in triggers {
            if let Ok(transition) = transition(id(), &saga, trigger, Timestamp::now()) {
                saga = transition.next;
                emitted.extend(transition.emit);
            }
        }
        (saga, emitted)
    }

    fn status(saga: &Saga) -> Option<OrderStatus> {
        match saga {
            Saga::Placed(order) => Some(order.status),
            _ => None,
        }
    }

    #[test]
    fn the_table_of_the_contract_holds() {
        use OrderStatus::{Cancelled, Failed, Paid, PendingPayment};
        use Trigger::{Cancel, DeadlinePassed, PaymentApproved, PaymentDeclined, PaymentFailed};
        for (triggers, expected, events) in [
            (vec![place()], PendingPayment, 1),
            (vec![place(), PaymentApproved], Paid, 1),
            (vec![place(), PaymentDeclined], Cancelled, 2),
            (vec![place(), PaymentFailed], Failed, 1),
            (vec![place(), Cancel], Cancelled, 2),
            (vec![place(), Cancel, PaymentApproved], Cancelled, 2),
            (vec![place(), PaymentApproved, Cancel], Cancelled, 2),
            (vec![place(), PaymentFailed, Cancel], Failed, 1),
            (vec![Cancel, place()], Cancelled, 0),
            (vec![Cancel, place(), PaymentApproved], Cancelled, 0),
            (vec![place(), DeadlinePassed], Cancelled, 2),
            (vec![place(), PaymentApproved, DeadlinePassed], Paid, 1),
        ] {
            let (saga, emitted) = run(&triggers);
            assert_eq!(status(&saga), Some(expected), "{triggers:?}");
            assert_eq!(emitted.len(), events, "{triggers:?}");
        }
    }

    #[test]
    fn a_payment_result_needs_an_order() {
        let result = transition(id(), &Saga::Unknown, &Trigger::PaymentApproved, Timestamp::now());
        assert_eq!(result, Err(Violation::UnknownOrder));
    }

    fn any_trigger() -> impl Strategy<Value = Trigger> {
        prop_oneof![
            Just(place()),
            Just(Trigger::Cancel),
            Just(Trigger::DeadlinePassed),
            Just(Trigger::PaymentApproved),
            Just(Trigger::PaymentDeclined),
            Just(Trigger::PaymentFailed),
            Just(Trigger::PaymentSettled),
        ]
    }

    proptest! {
        #[test]
        fn a_final_status_never_moves(triggers in prop::collection::vec(any_trigger(), 0..12)) {
            let mut saga = Saga::Unknown;
            for trigger in &triggers {
                let before = status(&saga);
                if let Ok(transition) = transition(id(), &saga, trigger, Timestamp::now()) {
                    saga = transition.next;
                }
                if before.is_some_and(OrderStatus::is_final) {
                    prop_assert_eq!(status(&saga), before);
                }
            }
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
