//! The topology on the broker, and the messages as another service would receive them.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{EventType, OrderId, OrderStatus};
use http::Method;
use serde_json::{Value, json};
use strum::VariantArray;
use tests::api::{accepted, header};
use tests::{Stack, WireTap};

/// The contract's table: event, exchange, routing key, producer.
const ROUTES: [(&str, &str, &str, &str); 9] = [
    ("CreateOrderRequested", "orders.exchange", "order.create.requested", "gateway"),
    ("OrderCancelRequested", "orders.exchange", "order.cancel.requested", "gateway"),
    ("OrderCreated", "orders.exchange", "order.created", "order"),
    ("OrderCancelled", "orders.exchange", "order.cancelled", "order"),
    ("PaymentApproved", "payments.exchange", "payment.approved", "payment"),
    ("PaymentDeclined", "payments.exchange", "payment.declined", "payment"),
    ("PaymentFailed", "payments.exchange", "payment.failed", "payment"),
    ("PaymentCancelled", "payments.exchange", "payment.cancelled", "payment"),
    ("PaymentRefunded", "payments.exchange", "payment.refunded", "payment"),
];

/// The contract's table: queue, its dead-letter queue, exchange and routing keys.
const QUEUES: [(&str, &str, &str, &[&str]); 6] = [
    ("order.create.queue", "order.create.dlq", "orders.exchange", &["order.create.requested"]),
    (
        "order.cancel-requested.queue",
        "order.cancel-requested.dlq",
        "orders.exchange",
        &["order.cancel.requested"],
    ),
    (
        "order.payment-result.queue",
        "order.payment-result.dlq",
        "payments.exchange",
        &["payment.approved", "payment.declined", "payment.failed"],
    ),
    (
        "order.payment-timeline.queue",
        "order.payment-timeline.dlq",
        "payments.exchange",
        &["payment.cancelled", "payment.refunded"],
    ),
    ("payment.order-created.queue", "payment.order-created.dlq", "orders.exchange", &["order.created"]),
    ("payment.order-cancelled.queue", "payment.order-cancelled.dlq", "orders.exchange", &["order.cancelled"]),
];

/// The correlation id of every request here.
const CORRELATION_ID: &str = "the-customer's-request";

#[tokio::test]
async fn exchanges_queues_and_bindings_are_those_of_the_contract() {
    let stack = Stack::start().await;
    let exchanges = stack.management.list("exchanges").await;
    for name in ["orders.exchange", "payments.exchange", "dlx.exchange"] {
        let exchange = exchanges.iter().find(|exchange| exchange["name"] == name).expect(name);
        assert_eq!((&exchange["type"], &exchange["durable"]), (&json!("topic"), &json!(true)), "{name}");
    }

    let queues = stack.management.list("queues").await;
    let queue = |name: &str| queues.iter().find(|queue| queue["name"] == name).expect("the queue exists");
    let mut expected = BTreeSet::new();
    for (name, dead_letters, exchange, keys) in QUEUES {
        assert_eq!(
            queue(name)["arguments"],
            json!({
                "x-queue-type": "quorum",
                "x-delivery-limit": 20,
                "x-dead-letter-exchange": "dlx.exchange",
                "x-dead-letter-routing-key": dead_letters,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }),
            "{name}"
        );
        assert_eq!(queue(dead_letters)["arguments"]["x-queue-type"], "quorum", "{dead_letters}");
        assert!(queue(name)["durable"] == true && queue(dead_letters)["durable"] == true, "{name}");
        expected.extend(keys.iter().map(|key| (exchange.to_owned(), (*key).to_owned(), name.to_owned())));
        expected.insert(("dlx.exchange".to_owned(), dead_letters.to_owned(), dead_letters.to_owned()));
    }
    assert_eq!(queues.len(), 2 * QUEUES.len(), "no queue but those of the contract");

    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let bindings = stack.management.list("bindings").await;
    let bindings = bindings.iter().filter(|binding| binding["source"] != "");
    let found: BTreeSet<_> = bindings
        .map(|binding| {
            (text(&binding["source"]), text(&binding["routing_key"]), text(&binding["destination"]))
        })
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn every_message_has_the_properties_and_the_envelope_of_the_contract() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    for total in ["10.01", "10.02", "10.03"] {
        let (id, trace_id) = place(&stack, total).await;
        tests::eventually("the order is not pending", async || {
            let order = stack.api.order(id).await;
            order.filter(|order| order.status != OrderStatus::PendingPayment).ok_or("it is pending")
        })
        .await;
        if total == "10.01" {
            cancel(&stack, id, &trace_id).await;
            stack.api.timeline_has(id, EventType::PaymentRefunded).await;
        }
        is_in_one_trace(&stack, &mut tap, id, &trace_id).await;
    }
    let held = stack.block_provider().await;
    let (id, trace_id) = place(&stack, "20.02").await;
    stack.api.charge_begins(id).await;
    cancel(&stack, id, &trace_id).await;
    stack.payment_knows_cancellation(id).await;
    held.release().await;
    stack.api.timeline_has(id, EventType::PaymentCancelled).await;
    is_in_one_trace(&stack, &mut tap, id, &trace_id).await;

    let mut seen = BTreeMap::new();
    for message in tap.all().await {
        let body: Value = serde_json::from_slice(&message.body).expect("JSON");
        let event_type = body["eventType"].as_str().expect("a type");
        let (_, exchange, routing_key, publisher) =
            ROUTES.iter().find(|(name, ..)| *name == event_type).expect("it is in the contract");
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (*exchange, *routing_key));
        let properties = &message.properties;
        let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
        assert_eq!(*properties.delivery_mode(), Some(2), "{event_type} is persistent");
        assert_eq!(text(properties.content_type()).as_deref(), Some("application/json"));
        assert_eq!(text(properties.message_id()).as_deref(), body["eventId"].as_str());
        assert_eq!(text(properties.kind()).as_deref(), Some(event_type));
        assert_eq!(text(properties.app_id()).as_deref(), Some(*publisher));
        assert_eq!(text(properties.correlation_id()).as_deref(), Some(CORRELATION_ID));
        assert_eq!(body["correlationId"], CORRELATION_ID);
        let occurred_at = body["occurredAt"].as_str().expect("a time");
        assert!(occurred_at.len() == 24 && occurred_at.ends_with('Z'), "{occurred_at}");
        let members: BTreeSet<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["correlationId", "eventId", "eventType", "occurredAt", "payload"].into());
        seen.entry(event_type.to_owned()).or_insert_with(|| body["payload"].clone());
    }
    for (event_type, members) in [
        ("CreateOrderRequested", &["orderId", "owner", "total", "userId"][..]),
        ("OrderCancelRequested", &["orderId", "owner"]),
        ("OrderCreated", &["expiresAt", "orderId", "owner", "total", "userId"]),
        ("OrderCancelled", &["cancelledAt", "orderId", "reason"]),
        ("PaymentApproved", &["orderId", "transactionId"]),
        ("PaymentDeclined", &["orderId", "reason"]),
        ("PaymentFailed", &["error", "orderId"]),
        ("PaymentCancelled", &["orderId", "transactionId"]),
        ("PaymentRefunded", &["orderId", "transactionId"]),
    ] {
        let payload = seen.get(event_type).unwrap_or_else(|| panic!("{event_type} was published"));
        let mut found: Vec<_> = payload.as_object().expect("an object").keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, members, "{event_type}");
    }
    assert_eq!(EventType::VARIANTS.len(), ROUTES.len());
}

/// Places an order; returns it and the trace that it began.
async fn place(stack: &Stack, total: &str) -> (OrderId, String) {
    let request = stack.api.post_order(tests::api::order(total)).header("x-correlation-id", CORRELATION_ID);
    let response = request.send().await.expect("an answer");
    let trace_id = header(&response, "traceparent")[3..35].to_owned();
    (accepted(response).await, trace_id)
}

/// Cancels an order within the trace in which it was placed.
async fn cancel(stack: &Stack, id: OrderId, trace_id: &str) {
    let request = stack.api.request(Method::PATCH, &format!("/api/orders/{id}/cancel"));
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let request = request.header("x-correlation-id", CORRELATION_ID).header("traceparent", traceparent);
    assert!(request.send().await.expect("an answer").status().is_success());
}

/// Every message about the order carries the trace's id, although no traces are exported.
async fn is_in_one_trace(stack: &Stack, tap: &mut WireTap, id: OrderId, trace_id: &str) {
    stack.outboxes_empty().await;
    let messages = tap.all().await.iter().filter(|message| message.envelope().order_id() == id);
    for message in messages {
        let traceparent = message.header("traceparent").expect("it has one");
        assert_eq!(traceparent[3..35], *trace_id, "{}", message.text());
    }
}
