//! Cancellations, at every moment at which one can come.

use contracts::event::{OrderCancelRequested, PaymentApproved};
use contracts::order::CreateOrderAccepted;
use contracts::{CancelReason, Envelope, EventType, OrderId, OrderStatus, PaymentStatus, id};
use http::StatusCode;
use tests::api::IdempotencyKey;
use tests::{Stack, WireTap, eventually};
use uuid::Uuid;

#[tokio::test]
async fn a_cancellation_that_comes_before_the_order_is_remembered_and_nothing_is_charged() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    // What a key stands for is known beforehand: the same key gives the same order in every stack.
    let id =
        OrderId::from_idempotency_key(id::IdempotencyKey { client: "anonymous", key: "cancelled first" });
    stack.api.cancel(id).await;
    stack.api.timeline_has(id, EventType::OrderCancelRequested).await;
    assert_eq!(stack.api.order(id).await, None, "there is no order yet");

    let response =
        stack.api.post_keyed(IdempotencyKey("cancelled first"), "10.01").send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.json::<CreateOrderAccepted>().await.expect("JSON").order_id, id);
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert_eq!(order.cancel_reason, Some(CancelReason::UserRequested));

    stack.drain_every_queue().await;
    assert_eq!(stack.api.payment_of(id).await, None);
    assert_eq!(stack.charge_of(id).await, None);
    let said = said_by_us(&mut tap, id).await;
    assert_eq!(said, [EventType::OrderCancelRequested, EventType::CreateOrderRequested]);
}

#[tokio::test]
async fn a_cancellation_that_overtakes_the_order_on_its_way_to_payment_leaves_a_mark() {
    let mut stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    stack.api.cancel(id).await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    tap.wait_for(EventType::OrderCancelled, id).await;
    // order.created is kept back until order.cancelled has been processed.
    let created = tap.wait_for(EventType::OrderCreated, id).await;
    stack.amqp.take("payment.order-created.queue").await;

    stack.payment.start_again().await;
    eventually("the cancellation leaves a mark", async || {
        let marks = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM early_cancellations");
        let count = marks.fetch_one(&stack.payment_database).await.expect("the database answers");
        if count == 1 { Ok(()) } else { Err("there is none") }
    })
    .await;
    stack.amqp.publish(EventType::OrderCreated, &created.body, created.properties).await;
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    stack.api.timeline_has(id, EventType::PaymentCancelled).await;

    stack.drain_every_queue().await;
    assert_eq!(stack.charge_of(id).await, None, "nothing was charged");
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert!(!said_by_us(&mut tap, id).await.contains(&EventType::PaymentApproved));
    let closed = tap.wait_for(EventType::PaymentCancelled, id).await.text();
    assert!(closed.contains(r#""transactionId":null"#), "{closed}");
}

#[tokio::test]
async fn a_cancellation_before_the_charge_begins_keeps_it_from_beginning() {
    let stack = Stack::with().env("PROVIDER_CONCURRENCY", "1").start().await;
    let held = stack.block_provider().await;
    let first = stack.api.place("10.01").await;
    stack.api.charge_begins(first).await;
    let id = stack.api.place("20.01").await;
    stack.api.payment_becomes(id, PaymentStatus::Processing).await;
    stack.api.cancel(id).await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    let payment = stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    assert_eq!(payment.attempts, 0);
    held.release().await;
    stack.api.order_becomes(first, OrderStatus::Paid).await;
    stack.drain_every_queue().await;
    assert_eq!(stack.charge_of(id).await, None);
}

#[tokio::test]
async fn a_cancellation_while_the_charge_is_under_way_ends_refunded_cancelled_or_failed() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let held = stack.block_provider().await;
    let mut orders = Vec::new();
    for total in ["10.01", "10.02", "10.03"] {
        let id = stack.api.place(total).await;
        stack.api.charge_begins(id).await;
        stack.api.cancel(id).await;
        // At once: nobody waits for the provider.
        let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
        assert_eq!(order.cancel_reason, Some(CancelReason::UserRequested));
        orders.push(id);
    }
    for id in &orders {
        let payment = stack.api.payment_of(*id).await.expect("it has one");
        assert_eq!(payment.status, PaymentStatus::Processing, "the provider has not answered");
    }
    for id in &orders {
        stack.payment_knows_cancellation(*id).await;
    }
    held.release().await;

    let [approved, declined, failed] = orders[..] else { unreachable!("three were placed") };
    stack.api.payment_becomes(approved, PaymentStatus::Refunded).await;
    stack.api.payment_becomes(declined, PaymentStatus::Cancelled).await;
    stack.api.payment_becomes(failed, PaymentStatus::Failed).await;
    stack.api.timeline_has(approved, EventType::PaymentRefunded).await;
    stack.api.timeline_has(declined, EventType::PaymentCancelled).await;
    stack.api.timeline_has(failed, EventType::PaymentFailed).await;
    assert!(stack.charge_of(approved).await.expect("it was charged").refunded);
    for id in orders {
        let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
        assert_eq!(order.cancel_reason, Some(CancelReason::UserRequested));
    }
    // The approval reached an order that was cancelled already, and it stayed cancelled.
    let said = said_by_us(&mut tap, approved).await;
    let position = |event_type| said.iter().position(|said| *said == event_type).expect("it was said");
    assert!(position(EventType::OrderCancelled) < position(EventType::PaymentApproved), "{said:?}");
    let timeline = stack.api.timeline(approved).await.events;
    let approval = timeline.iter().find(|entry| entry.event_type == EventType::PaymentApproved);
    assert_eq!(approval.expect("it was heard").status, Some(OrderStatus::Cancelled));
}

#[tokio::test]
async fn a_paid_order_is_cancelled_and_refunded_once_however_often_it_is_asked_for() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    tokio::join!(stack.api.cancel(id), stack.api.cancel(id), stack.api.cancel(id));
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    stack.api.cancel(id).await;
    stack.drain_every_queue().await;

    assert_eq!(stack.api.order(id).await, Some(order));
    assert!(stack.charge_of(id).await.expect("it was charged").refunded);
    let said = said_by_us(&mut tap, id).await;
    for event_type in [EventType::OrderCancelled, EventType::PaymentRefunded, EventType::PaymentApproved] {
        assert_eq!(said.iter().filter(|said| **said == event_type).count(), 1, "{event_type}: {said:?}");
    }
}

#[tokio::test]
async fn a_final_order_stays_as_it_is() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let failed = stack.api.place("10.03").await;
    let declined = stack.api.place("10.02").await;
    let failed_order = stack.api.order_becomes(failed, OrderStatus::Failed).await;
    let declined_order = stack.api.order_becomes(declined, OrderStatus::Cancelled).await;
    stack.drain_every_queue().await;
    let declined_payment = stack.api.payment_of(declined).await;
    let failed_payment = stack.api.payment_of(failed).await;

    for id in [failed, declined] {
        stack.api.cancel(id).await;
        stack.amqp.publish_event(&Envelope::now(OrderCancelRequested { order_id: id }, None)).await;
        // Nor does money that somebody claims to have taken move a final order.
        let approved = PaymentApproved { order_id: id, transaction_id: "late".to_owned() };
        stack.amqp.publish_event(&Envelope::now(approved, None)).await;
    }
    stack.drain_every_queue().await;
    assert_eq!(stack.api.order(failed).await, Some(failed_order));
    assert_eq!(stack.api.order(declined).await, Some(declined_order));
    assert_eq!(stack.api.payment_of(failed).await, failed_payment);
    assert_eq!(stack.api.payment_of(declined).await, declined_payment);
    let said = said_by_us(&mut tap, failed).await;
    assert!(!said.contains(&EventType::OrderCancelled), "{said:?}");
    let said = said_by_us(&mut tap, declined).await;
    assert_eq!(said.iter().filter(|said| **said == EventType::OrderCancelled).count(), 1, "{said:?}");
}

#[tokio::test]
async fn the_cancellation_of_an_order_that_nobody_placed_is_accepted_and_makes_none() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let id = OrderId::from(Uuid::new_v4());
    stack.api.cancel(id).await;
    stack.drain_every_queue().await;
    assert_eq!(stack.api.order(id).await, None);
    assert_eq!(stack.api.payment_of(id).await, None);
    assert_eq!(said_by_us(&mut tap, id).await, [EventType::OrderCancelRequested]);
    stack.amqp.all_queues_empty().await;
}

/// The types of everything that the services said about an order, in the order in which they said it.
async fn said_by_us(tap: &mut WireTap, id: OrderId) -> Vec<EventType> {
    let ours = tap
        .all()
        .await
        .iter()
        .filter(|heard| heard.is_from_service())
        .map(tests::wire_tap::TappedMessage::envelope);
    ours.filter(|envelope| envelope.order_id() == id).map(|envelope| envelope.event.event_type()).collect()
}
