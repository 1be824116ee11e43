//! An order whose payment has no result in time is cancelled, and its money given back.

use contracts::{EventType, OrderStatus, PaymentStatus};
use tests::{Stack, eventually};

#[tokio::test]
async fn an_order_without_a_result_in_time_is_cancelled_and_never_charged() {
    let mut stack = Stack::with().env("SAGA_TIMEOUT", "1s").start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert_eq!(order.cancel_reason.map(|reason| reason.to_string()).as_deref(), Some("PAYMENT_TIMEOUT"));
    stack.payment.start_again().await;
    // Both events wait for the payment service; whichever comes first, no money stays.
    let payment = eventually("the payment is undone", async || {
        let payment = stack.api.payment_of(id).await;
        let status = payment.map(|payment| payment.status);
        match status {
            Some(PaymentStatus::Cancelled | PaymentStatus::Refunded) => Ok(status),
            _ => Err(format!("{status:?}")),
        }
    })
    .await;
    if payment == Some(PaymentStatus::Refunded) {
        assert!(stack.charge_of(id).await.expect("it was charged").refunded);
    }
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
}

#[tokio::test]
async fn a_result_after_the_deadline_is_refunded() {
    // The provider takes five seconds for this one.
    let stack = Stack::with().env("SAGA_TIMEOUT", "1s").start().await;
    let id = stack.api.place("10.05").await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    assert!(stack.charge_of(id).await.expect("it was charged").refunded);
    stack.api.timeline_has(id, EventType::PaymentRefunded).await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
}

#[tokio::test]
async fn an_order_that_is_paid_in_time_is_left_alone() {
    let stack = Stack::with().env("SAGA_TIMEOUT", "1s").start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    // Another one runs out of time after it: the deadline has been there.
    let late = stack.api.place("10.05").await;
    stack.api.order_becomes(late, OrderStatus::Cancelled).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}
