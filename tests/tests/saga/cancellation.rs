//! Cancellations, at every moment at which one can arrive.

use contracts::event::{OrderCancelRequested, PaymentApproved};
use contracts::{CancelReason, Envelope, EventType, OrderId, OrderStatus, PaymentStatus};
use tests::{Stack, WireTap, eventually};
use uuid::Uuid;

#[tokio::test]
async fn a_cancellation_that_arrives_before_its_order_is_stored_and_prevents_the_charge() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let id = OrderId::new();
    stack.api.cancel(id).await;
    stack.api.timeline_has(id, EventType::OrderCancelRequested).await;
    assert_eq!(stack.api.order(id).await, None, "there is no order yet");

    stack.amqp.place(id, None).await;
    let order = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert_eq!(order.cancel_reason, Some(CancelReason::UserRequested));

    stack.drain_every_queue().await;
    assert_eq!(stack.api.payment_of(id).await, None);
    assert_eq!(stack.charge_of(id).await, None);
    // By the services; the test has published the order itself.
    let published = published_types(&mut tap, id).await;
    assert_eq!(published, [EventType::OrderCancelRequested]);
}

#[tokio::test]
async fn a_cancellation_that_overtakes_its_order_is_stored_by_the_payment_service() {
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
    eventually("the cancellation is stored", async || {
        let stored = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM early_cancellations");
        let count = stored.fetch_one(&stack.payment_database).await.expect("the database answers");
        if count == 1 { Ok(()) } else { Err("it is not") }
    })
    .await;
    stack.amqp.publish(EventType::OrderCreated, &created.body, created.properties).await;
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    stack.api.timeline_has(id, EventType::PaymentCancelled).await;

    stack.drain_every_queue().await;
    assert_eq!(stack.charge_of(id).await, None, "nothing was charged");
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    assert!(!published_types(&mut tap, id).await.contains(&EventType::PaymentApproved));
    let closed = tap.wait_for(EventType::PaymentCancelled, id).await.text();
    assert!(closed.contains(r#""transactionId":null"#), "{closed}");
}

#[tokio::test]
async fn a_cancellation_before_the_charge_begins_prevents_it() {
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
        // At once: the cancellation does not wait for the provider.
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
    let published = published_types(&mut tap, approved).await;
    let position =
        |wanted| published.iter().position(|event_type| *event_type == wanted).expect("it was published");
    assert!(position(EventType::OrderCancelled) < position(EventType::PaymentApproved), "{published:?}");
    let timeline = stack.api.timeline(approved).await.events;
    let approval = timeline.iter().find(|entry| entry.event_type == EventType::PaymentApproved);
    assert_eq!(approval.expect("it is in the timeline").status, Some(OrderStatus::Cancelled));
}

#[tokio::test]
async fn repeated_cancellations_cancel_and_refund_a_paid_order_once() {
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
    let published = published_types(&mut tap, id).await;
    for event_type in [EventType::OrderCancelled, EventType::PaymentRefunded, EventType::PaymentApproved] {
        let count = published.iter().filter(|published| **published == event_type).count();
        assert_eq!(count, 1, "{event_type}: {published:?}");
    }
}

#[tokio::test]
async fn a_final_order_never_changes() {
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
        stack
            .amqp
            .publish_event(&Envelope::now(OrderCancelRequested { order_id: id, owner: None }, None))
            .await;
        // Nor does a late approval change a final order.
        let approved = PaymentApproved { order_id: id, transaction_id: "late".to_owned() };
        stack.amqp.publish_event(&Envelope::now(approved, None)).await;
    }
    stack.drain_every_queue().await;
    assert_eq!(stack.api.order(failed).await, Some(failed_order));
    assert_eq!(stack.api.order(declined).await, Some(declined_order));
    assert_eq!(stack.api.payment_of(failed).await, failed_payment);
    assert_eq!(stack.api.payment_of(declined).await, declined_payment);
    let published = published_types(&mut tap, failed).await;
    assert!(!published.contains(&EventType::OrderCancelled), "{published:?}");
    let published = published_types(&mut tap, declined).await;
    let count = published.iter().filter(|published| **published == EventType::OrderCancelled).count();
    assert_eq!(count, 1, "{published:?}");
}

#[tokio::test]
async fn the_cancellation_of_an_unknown_order_is_accepted_and_creates_none() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let id = OrderId::from(Uuid::new_v4());
    stack.api.cancel(id).await;
    stack.drain_every_queue().await;
    assert_eq!(stack.api.order(id).await, None);
    assert_eq!(stack.api.payment_of(id).await, None);
    assert_eq!(published_types(&mut tap, id).await, [EventType::OrderCancelRequested]);
    stack.amqp.all_queues_empty().await;
}

/// The types of the events that the services published about an order, in the order of publication.
async fn published_types(tap: &mut WireTap, id: OrderId) -> Vec<EventType> {
    let ours = tap.all().await.iter().filter(|message| message.is_from_service());
    let envelopes =
        ours.map(tests::wire_tap::TappedMessage::envelope).filter(|envelope| envelope.order_id() == id);
    envelopes.map(|envelope| envelope.event.event_type()).collect()
}
