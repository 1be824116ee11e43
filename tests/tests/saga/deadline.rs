//! An order whose payment has no result in time is cancelled, and a charge refunded.

use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use sqlx::PgPool;
use tests::{Stack, eventually};

#[tokio::test]
async fn an_order_without_a_result_in_time_is_cancelled_and_not_paid() {
    let mut stack = Stack::with().env("SAGA_TIMEOUT", "1s").start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert_eq!(order.cancel_reason.map(|reason| reason.to_string()).as_deref(), Some("PAYMENT_TIMEOUT"));
    stack.payment.start_again().await;
    // Both events wait in the payment service's queues; in either order, no charge is begun after the deadline.
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    stack.amqp.all_queues_empty().await;
    assert_eq!(stack.charge_count().await, 0);
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
}

#[tokio::test]
async fn a_payment_is_not_late_because_the_order_service_was_away() {
    let mut stack = Stack::start().await;
    let id = placed_and_approved_while_the_order_service_is_away(&mut stack).await;
    execute(&stack.order_database, "UPDATE orders SET created_at = created_at - interval '1 hour'").await;
    stack.order.start_again().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}

#[tokio::test]
async fn what_waits_in_the_queue_is_heard_before_anything_is_late() {
    let mut stack = Stack::start().await;
    let id = placed_and_approved_while_the_order_service_is_away(&mut stack).await;
    execute(&stack.order_database, "UPDATE orders SET created_at = created_at - interval '1 hour'").await;
    // The service was there for nearly all of the time.
    let heard = "UPDATE listening SET started_at = now() - interval '14 min 58 s', heard_until = now()";
    execute(&stack.order_database, heard).await;
    stack.order.start_again().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}

/// Places an order whose payment is approved after the order service was killed, and before it is started again.
async fn placed_and_approved_while_the_order_service_is_away(stack: &mut Stack) -> OrderId {
    let mut tap = stack.amqp.tap().await;
    eventually("results are heard", async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM listening");
        let count = count.fetch_one(&stack.order_database).await.expect("the database answers");
        if count > 0 { Ok(()) } else { Err("they are not".to_owned()) }
    })
    .await;
    // The payment service is told of it after the order service was killed.
    assert!(stack.payment.stop().await.success());
    let id = stack.api.place("10.01").await;
    tap.wait_for(EventType::OrderCreated, id).await;
    stack.order.kill().await;
    stack.payment.start_again().await;
    tap.wait_for(EventType::PaymentApproved, id).await;
    id
}

#[tokio::test]
async fn a_result_after_the_deadline_is_refunded() {
    let stack =
        Stack::with().env("PROVIDER_LATENCY_MS", "15000").env("PROVIDER_TIMEOUT", "1min").start().await;
    let id = stack.api.place("10.01").await;
    eventually("the charge is begun", async || {
        let begun = sqlx::query_scalar::<_, bool>("SELECT attempts > 0 FROM payments");
        let begun = begun.fetch_optional(&stack.payment_database).await.expect("the database answers");
        if begun == Some(true) { Ok(()) } else { Err(format!("{begun:?}")) }
    })
    .await;
    execute(&stack.order_database, "UPDATE orders SET created_at = created_at - interval '1 hour'").await;
    eventually("the deadline has passed", async || {
        // Periods in which results were heard, until the one that is going on.
        execute(&stack.order_database, "UPDATE listening SET started_at = started_at - interval '1 hour'")
            .await;
        let order = stack.api.order(id).await.expect("it was placed");
        if order.status == OrderStatus::Cancelled { Ok(()) } else { Err(order.status.to_string()) }
    })
    .await;
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

async fn execute(database: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(database).await.expect("the database answers");
}
