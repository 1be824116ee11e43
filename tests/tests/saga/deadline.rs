//! An order whose payment has no result in time is cancelled, and a charge refunded.

use contracts::{EventType, OrderStatus, PaymentStatus};
use tests::{Stack, eventually};

#[tokio::test]
async fn an_order_without_a_result_in_time_is_cancelled_and_not_paid() {
    let mut stack = Stack::with().env("SAGA_TIMEOUT", "1s").start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert_eq!(order.cancel_reason.map(|reason| reason.to_string()).as_deref(), Some("PAYMENT_TIMEOUT"));
    stack.payment.start_again().await;
    // Both events wait in the payment service's queues; in either order, no money is kept.
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
async fn an_order_that_is_paid_in_time_stays_paid() {
    let stack = Stack::with().env("SAGA_TIMEOUT", "1s").start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    // A later order exceeds its deadline, so the first one's has passed as well.
    let late = stack.api.place("10.05").await;
    stack.api.order_becomes(late, OrderStatus::Cancelled).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}
