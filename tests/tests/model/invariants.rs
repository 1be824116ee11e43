//! What must hold. The names are those of `docs/INVARIANTS.md`.

use contracts::{OrderStatus, PaymentStatus};

use crate::world::World;

/// What must hold in every state.
pub fn always(world: &World) -> Result<(), String> {
    if world.provider.charges > 1 {
        return Err(format!("one-charge: the customer was charged {} times", world.provider.charges));
    }
    if world.provider.refunds > world.provider.charges {
        return Err("no-gift: more was given back than was taken".to_owned());
    }
    if !world.dead_letters.is_empty() {
        return Err(format!(
            "no-dead-letters: {:?} was refused although nobody broke the contract",
            world.dead_letters
        ));
    }
    Ok(())
}

/// What must hold from one state to the next.
pub fn step(before: &World, after: &World) -> Result<(), String> {
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

/// What must hold once faults have stopped and everything has come to its end.
pub fn at_rest(world: &World) -> Result<(), String> {
    always(world)?;
    let order = world.order_status();
    let payment = world.payment();
    let holds_money = world.provider.charges > world.provider.refunds;
    if matches!(order, None | Some(OrderStatus::PendingPayment))
        || payment
            .is_some_and(|payment| payment.status == PaymentStatus::Processing || payment.step.is_some())
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
    // Written out again on purpose, instead of `contracts::status::final_states_agree`: a mistake there must not hide
    // the same mistake here.
    let agree = match (order, payment.map(|payment| payment.status)) {
        (Some(OrderStatus::Paid), payment) => payment == Some(PaymentStatus::Approved),
        (Some(OrderStatus::Failed), payment) => payment == Some(PaymentStatus::Failed),
        (Some(OrderStatus::Cancelled), payment) => payment != Some(PaymentStatus::Approved),
        _ => true,
    };
    if agree { Ok(()) } else { Err(format!("pairs-agree: order {order:?}, payment {payment:?}")) }
}
