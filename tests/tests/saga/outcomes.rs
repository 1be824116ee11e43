//! The outcome of an order, by the outcome of its payment.

use contracts::{OrderId, OrderStatus, PaymentStatus};
use tests::Stack;
use uuid::Uuid;

#[tokio::test]
async fn an_approved_payment_makes_the_order_paid() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let payment = stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    assert_eq!(payment.amount.to_string(), "10.01");
    let charge = stack.charge_of(id).await.expect("the provider has charged it");
    assert_eq!((charge.cents, charge.outcome.as_str(), charge.refunded), (1001, "APPROVED", false));
}

#[tokio::test]
async fn a_declined_payment_cancels_the_order() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.02").await;
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert_eq!(order.cancel_reason.map(|reason| reason.to_string()).as_deref(), Some("PAYMENT_DECLINED"));
    stack.drain_every_queue().await;
    // The order's cancellation has reached the payment service and changed nothing.
    stack.api.payment_becomes(id, PaymentStatus::Declined).await;
    assert!(!stack.charge_of(id).await.expect("it was tried").refunded);
}

#[tokio::test]
async fn a_failed_payment_fails_the_order() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.03").await;
    let order = stack.api.order_becomes(id, OrderStatus::Failed).await;
    assert_eq!(order.cancel_reason, None);
    stack.api.payment_becomes(id, PaymentStatus::Failed).await;
}

#[tokio::test]
async fn a_lost_or_late_answer_is_looked_up_and_never_charged_twice() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "1s").start().await;
    // One charge succeeds without an answer; the other takes five seconds, and the service waits for one.
    for total in ["10.04", "10.05"] {
        let id = stack.api.place(total).await;
        stack.api.charge_begins(id).await;
        let order = stack.api.order(id).await.expect("it is placed");
        assert_eq!(order.status, OrderStatus::PendingPayment, "a timeout is unknown, not declined");
        stack.api.order_becomes(id, OrderStatus::Paid).await;
        let payment = stack.api.payment_becomes(id, PaymentStatus::Approved).await;
        assert!(payment.attempts > 1, "the provider was called again: {payment:?}");
        assert_eq!(stack.charge_of(id).await.expect("it was charged").outcome, "APPROVED");
    }
    assert_eq!(stack.charge_count().await, 2);
}

#[tokio::test]
async fn a_slow_provider_does_not_delay_other_orders() {
    let stack = Stack::start().await;
    let slow = stack.api.place("10.05").await;
    stack.api.charge_begins(slow).await;
    for (total, status) in [("10.01", OrderStatus::Paid), ("10.02", OrderStatus::Cancelled)] {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, status).await;
    }
    assert_eq!(stack.api.order(slow).await.expect("it is placed").status, OrderStatus::PendingPayment);
    stack.api.order_becomes(slow, OrderStatus::Paid).await;
}

#[tokio::test]
async fn the_approval_rate_and_the_seed_decide_where_the_cents_do_not() {
    let with = |rate: &str, seed: &str| {
        Stack::with().env("PROVIDER_APPROVAL_RATE", rate).env("PROVIDER_SEED", seed).start()
    };
    let (never, half) = tokio::join!(with("0", "7"), with("0.5", "7"));
    let (never, half) = tokio::join!(outcomes(&never), outcomes(&half));
    assert!(!never.contains(&PaymentStatus::Approved), "{never:?}");
    assert!(never.contains(&PaymentStatus::Declined) && never.contains(&PaymentStatus::Failed), "{never:?}");
    assert!(half.contains(&PaymentStatus::Approved) && half.contains(&PaymentStatus::Declined), "{half:?}");

    let (again, other) = tokio::join!(with("0.5", "7"), with("0.5", "8"));
    let (again, other) = tokio::join!(outcomes(&again), outcomes(&other));
    assert_eq!(again, half, "the same seed decides the same");
    assert_ne!(other, half, "another seed decides otherwise");
}

/// The outcomes of forty payments whose ids are the same in every stack, because they derive from those of the orders.
async fn outcomes(stack: &Stack) -> Vec<PaymentStatus> {
    let orders: Vec<OrderId> = (0..40).map(|number| Uuid::from_u128(number).into()).collect();
    for &id in &orders {
        stack.amqp.place_for(id, None, "7").await;
    }
    let mut outcomes = Vec::new();
    for id in orders {
        let status = tests::eventually(&format!("{id} is not pending"), async || {
            let status = stack.api.order(id).await.map(|order| order.status);
            status.filter(|status| *status != OrderStatus::PendingPayment).ok_or("it is pending")
        })
        .await;
        let payment = stack.api.payment_of(id).await.expect("it has a payment").status;
        let expected = match payment {
            PaymentStatus::Approved => OrderStatus::Paid,
            PaymentStatus::Declined => OrderStatus::Cancelled,
            _ => OrderStatus::Failed,
        };
        assert_eq!(status, expected, "{payment}");
        outcomes.push(payment);
    }
    outcomes
}
