//! Messages that arrive repeatedly, late, or from the services that paysaga replaces.

use std::collections::BTreeSet;

use contracts::page::Page;
use contracts::{EventId, EventType, OrderId, OrderStatus, PaymentStatus};
use lapin::BasicProperties;
use serde_json::{Value, json};
use strum::VariantArray;
use tests::Stack;
use tests::wire_tap::TappedMessage;
use uuid::Uuid;

/// What a NestJS gateway publishes: no order id, no correlation id, members that paysaga doesn't know.
const NESTJS_CREATE: &str =
    include_str!("../../../contracts/tests/golden/nestjs/create-order-requested.json");

/// What the NestJS order service publishes.
const NESTJS_CREATED: &str = include_str!("../../../contracts/tests/golden/nestjs/order-created.json");

/// What the NestJS payment service publishes.
const NESTJS_APPROVED: &str = include_str!("../../../contracts/tests/golden/nestjs/payment-approved.json");

#[tokio::test]
async fn a_repeated_event_changes_nothing_whatever_its_id() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let orders = every_kind_of_saga(&stack).await;
    stack.outboxes_empty().await;
    let history = tap.all().await.to_vec();
    let types: BTreeSet<_> =
        history.iter().map(|message| message.envelope().event.event_type().to_string()).collect();
    assert_eq!(types.len(), EventType::VARIANTS.len(), "every event was published: {types:?}");
    let before = state(&stack, &orders).await;
    let charges = stack.charge_count().await;

    for message in &history {
        let event_type = message.envelope().event.event_type();
        stack.amqp.publish(event_type, &message.body, BasicProperties::default()).await;
        stack.amqp.publish(event_type, &message.body, BasicProperties::default()).await;
        stack.amqp.publish(event_type, &with_new_id(message), BasicProperties::default()).await;
    }
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;

    assert_eq!(state(&stack, &orders).await, before);
    assert_eq!(stack.charge_count().await, charges + 1, "only the probe was charged");
    let everything = tap.all().await;
    let ours = everything[history.len()..].iter().filter(|message| message.is_from_service());
    let about: Vec<_> = ours.filter(|message| orders.contains(&message.envelope().order_id())).collect();
    assert!(about.is_empty(), "a service published: {about:?}");
    stack.amqp.all_queues_empty().await;
}

#[tokio::test]
async fn an_order_of_a_nestjs_gateway_is_placed_once_however_often_it_is_delivered() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    for _ in 0..3 {
        publish(&stack, EventType::CreateOrderRequested, NESTJS_CREATE).await;
    }
    let probe = stack.drain_every_queue().await;
    publish(&stack, EventType::CreateOrderRequested, NESTJS_CREATE).await;
    stack.drain_every_queue().await;

    let orders: Page<contracts::order::Order> = stack.api.read("/api/orders").await;
    assert_eq!(orders.meta.total, 3, "two probes and one: {orders:?}");
    let order = orders.data.last().expect("it is the oldest");
    let golden: Value = serde_json::from_str(NESTJS_CREATE).expect("JSON");
    assert_ne!(order.id, probe);
    assert_eq!(json!(order.user_id), golden["payload"]["userId"]);
    assert_eq!(json!(order.total), golden["payload"]["total"]);
    stack.api.order_becomes(order.id, OrderStatus::Paid).await;
    assert_eq!(stack.charge_count().await, 3);

    // Its events share a correlation id although the request had none.
    let created = tap.wait_for(EventType::OrderCreated, order.id).await.envelope();
    let approved = tap.wait_for(EventType::PaymentApproved, order.id).await.envelope();
    assert!(created.correlation_id.is_some());
    assert_eq!(approved.correlation_id, created.correlation_id);
}

#[tokio::test]
async fn either_service_works_beside_the_nestjs_services() {
    let mut stack = Stack::start().await;
    // Our payment service receives an order of another order service.
    publish(&stack, EventType::OrderCreated, NESTJS_CREATED).await;
    let created: Value = serde_json::from_str(NESTJS_CREATED).expect("JSON");
    let id: OrderId = created["payload"]["orderId"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let payment = stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    assert_eq!(json!(payment.amount), created["payload"]["total"]);

    // Our order service receives a result of another payment service.
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let mut approved: Value = serde_json::from_str(NESTJS_APPROVED).expect("JSON");
    approved["payload"]["orderId"] = json!(id);
    publish(&stack, EventType::PaymentApproved, &approved.to_string()).await;
    let order = stack.api.order_becomes(id, OrderStatus::Paid).await;
    assert_eq!(order.total.to_string(), "10.01");
}

#[tokio::test]
async fn orders_placed_while_the_services_are_stopped_are_processed_when_they_start() {
    let mut stack = Stack::start().await;
    stack.order.kill().await;
    stack.payment.kill().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(stack.api.place("10.01").await);
    }
    stack.payment.start_again().await;
    stack.order.start_again().await;
    for id in orders {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    assert_eq!(stack.charge_count().await, 3);
}

/// One order for each way that a saga can go.
async fn every_kind_of_saga(stack: &Stack) -> Vec<OrderId> {
    let paid = stack.api.place("10.01").await;
    let declined = stack.api.place("10.02").await;
    let failed = stack.api.place("10.03").await;
    stack.api.order_becomes(paid, OrderStatus::Paid).await;
    stack.api.order_becomes(declined, OrderStatus::Cancelled).await;
    stack.api.order_becomes(failed, OrderStatus::Failed).await;
    let refunded = stack.drain_every_queue().await;

    let held = stack.block_provider().await;
    let cancelled = stack.api.place("20.02").await;
    stack.api.charge_begins(cancelled).await;
    stack.api.cancel(cancelled).await;
    stack.payment_knows_cancellation(cancelled).await;
    held.release().await;
    stack.api.payment_becomes(cancelled, PaymentStatus::Cancelled).await;
    stack.drain_every_queue().await;
    vec![paid, declined, failed, refunded, cancelled]
}

/// What clients see of some orders, without the timelines: an event under another id is another entry there.
async fn state(stack: &Stack, orders: &[OrderId]) -> Vec<String> {
    let mut state = Vec::new();
    for id in orders {
        state.push(stack.api.text(&format!("/api/orders/{id}")).await);
        state.push(stack.api.text(&format!("/api/payments/order/{id}")).await);
        state.push(format!("{:?}", stack.charge_of(*id).await));
    }
    state
}

/// The same content under a new event id.
fn with_new_id(message: &TappedMessage) -> Vec<u8> {
    let id = message.envelope().event_id.to_string();
    assert!(message.text().contains(&id));
    message.text().replace(&id, &EventId::from(Uuid::new_v4()).to_string()).into_bytes()
}

async fn publish(stack: &Stack, event_type: EventType, body: &str) {
    stack.amqp.publish(event_type, body.as_bytes(), BasicProperties::default()).await;
}
