//! What must hold. The names are those of `docs/INVARIANTS.md`.

use contracts::{OrderStatus, PaymentStatus};
use payment::domain::{Due, Step, StepReason};

use crate::actions::Action;
use crate::provider::{Answer, Call, StepName};
use crate::world::World;

/// What must hold in every state.
pub fn always(world: &World) -> Result<(), String> {
    if world.provider.charges > 1 {
        return Err(format!("one-charge: the customer was charged {} times", world.provider.charges));
    }
    if world.provider.refunds + world.transfers > world.provider.charges {
        return Err("no-gift: more was given back than was taken".to_owned());
    }
    if !world.dead_letters.is_empty() {
        return Err(format!(
            "no-dead-letters: {:?} was rejected although no service broke the contract",
            world.dead_letters
        ));
    }
    Ok(())
}

/// What must hold from one state to the next.
pub fn step(before: &World, action: Action, after: &World) -> Result<(), String> {
    steps_wait(before, action, after)?;
    in_time(before, action, after)?;
    if let Some(status) = before.order_status().filter(|status| status.is_final())
        && after.order_status() != Some(status)
    {
        return Err(format!("final-is-final: the order went from {status} to {:?}", after.order_status()));
    }
    if let Some(status) = before.payment_status().filter(|status| status.is_final())
        && after.payment_status() != Some(status)
    {
        return Err(format!(
            "final-is-final: the payment went from {status} to {:?}",
            after.payment_status()
        ));
    }
    Ok(())
}

/// What came in time is not late, and what is late is not begun.
fn in_time(before: &World, action: Action, after: &World) -> Result<(), String> {
    if action == Action::PassDeadline && before.unheard {
        return Err("late-is-late: an order was cancelled although a result had come in time".to_owned());
    }
    let charges = |world: &World| {
        world.calls.iter().filter(|call| matches!(call, Call::Sent { step: StepName::Charge, .. })).count()
    };
    if before.expired && charges(after) > charges(before) {
        return Err("no-late-charge: a charge was begun after its time".to_owned());
    }
    Ok(())
}

/// A step is taken only when it is due; and one that is still to become due does so by the passing of time, or because an operator
/// cuts the pause before it short, unless another step takes its place.
fn steps_wait(before: &World, action: Action, after: &World) -> Result<(), String> {
    let is_ahead = |world: &World| world.next_step().is_some_and(|next| next.due == Due::Ahead);
    let called = after.calls.len() > before.calls.len();
    if called && is_ahead(before) {
        return Err("steps-wait: a step was taken before it was due".to_owned());
    }
    let same_step = before.next_step().map(|next| next.step) == after.next_step().map(|next| next.step);
    // Whatever becomes of an earlier attempt says nothing about the schedule.
    let is_latest =
        |call: usize| before.payment().is_some_and(|payment| payment.attempts == before.attempt_of(call));
    let brought_nothing = match action {
        Action::TimeOut(call) => is_latest(call),
        Action::Answer(call) => {
            let is_open = before.payment_status() == Some(PaymentStatus::Processing);
            let not_charged = matches!(before.calls[call], Call::Answered(Answer::NotCharged { .. }));
            let looks_up = after.next_step().is_some_and(|next| next.step == Step::Lookup);
            is_latest(call) && is_open && not_charged && looks_up
        }
        _ => false,
    };
    if (called || brought_nothing) && after.next_step().is_some() && !is_ahead(after) {
        return Err(format!("steps-wait: the next step is due at once after {action:?}"));
    }
    let in_hand = before.next_step().is_some_and(|next| next.reason == StepReason::LeaseLapsed);
    let may_become_due = action == Action::StepBecomesDue || (action == Action::AskNow && !in_hand);
    if is_ahead(before) && same_step && !is_ahead(after) && !may_become_due {
        return Err(format!("steps-wait: {action:?} made a step due before its time"));
    }
    if action == Action::AskNow && !same_step {
        return Err("looks-first: asked now, the provider is asked for something else".to_owned());
    }
    Ok(())
}

/// What must hold once faults have stopped and no action is left.
pub fn at_rest(world: &World) -> Result<(), String> {
    always(world)?;
    let order = world.order_status();
    let payment = world.payment();
    let holds_money = world.provider.charges > world.provider.refunds + world.transfers;
    if matches!(order, None | Some(OrderStatus::PendingPayment))
        || payment
            .is_some_and(|payment| payment.status == PaymentStatus::Processing || payment.next.is_some())
    {
        return Err(format!("all-settled: unsettled at the end: order {order:?}, payment {payment:?}"));
    }
    let paid = order == Some(OrderStatus::Paid);
    if holds_money && !paid {
        return Err(format!("no-money-held: the order is {order:?}, and the customer's money was kept"));
    }
    if paid && world.cancel_asked {
        return Err("cancellation-holds: the customer's cancellation was accepted and forgotten".to_owned());
    }
    if paid && !holds_money {
        return Err("books-balance: the order is paid, and no money was taken".to_owned());
    }
    // contracts::status::final_states_agree has the same pairs. The model has its own copy on purpose: a mistake in one must
    // not hide the same mistake in the other.
    let agree = match (order, payment.map(|payment| payment.status)) {
        (Some(OrderStatus::Paid), payment) => payment == Some(PaymentStatus::Approved),
        (Some(OrderStatus::Failed), payment) => payment == Some(PaymentStatus::Failed),
        (Some(OrderStatus::Cancelled), payment) => payment != Some(PaymentStatus::Approved),
        _ => true,
    };
    if agree { Ok(()) } else { Err(format!("pairs-agree: order {order:?}, payment {payment:?}")) }
}
