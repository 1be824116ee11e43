//! What belongs to an order and is in another trace finds the order's, and is found from there.

use contracts::event::PaymentApproved;
use contracts::topology::Queue;
use contracts::{Envelope, EventType, OrderId, OrderStatus};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use tests::api::{IdempotencyKey, accepted, order};
use tests::otlp::Span;

use super::tracing::{has, stop, trace_of, traced_stack};

#[tokio::test]
async fn a_request_with_the_same_idempotency_key_says_so_and_links_to_the_first() {
    let (collector, stack) = traced_stack().await;
    let place = async || {
        let placed = stack.api.post_keyed(IdempotencyKey("k-1"), "10.01").send().await.expect("an answer");
        (trace_of(&placed), accepted(placed).await)
    };
    let (first, id) = place().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let (answered, same) = place().await;
    assert_eq!(same, id);
    // Without an answer the request is executed again.
    let forgotten = sqlx::query("UPDATE idempotency_keys SET answer_status = NULL");
    forgotten.execute(&stack.order_database).await.expect("the database answers");
    let (executed, same) = place().await;
    assert_eq!(same, id);
    // The repeated message has been handled when one after it has.
    let (_, other) = {
        let placed = stack.api.post(order("10.01")).await;
        (trace_of(&placed), accepted(placed).await)
    };
    stack.api.order_becomes(other, OrderStatus::Paid).await;
    stop(stack).await;

    let [first, answered, executed] = [first, answered, executed].map(|trace| collector.trace(&trace));
    let process = "process orders.exchange:order.create.requested:order.create.queue";
    let placed_at = first.iter().find(|span| span.name == process).expect("it was placed");
    for (again, name) in
        [(&answered, "POST /api/orders"), (&executed, "POST /api/orders"), (&executed, process)]
    {
        has(again, name, "paysaga.duplicate", json!(true));
        let span = again.iter().find(|span| span.name == name).expect(name);
        assert!(span.links.contains(&placed_at.id), "{span:#?}");
    }
    assert!(answered.iter().all(|span| span.name != process), "{answered:#?}");
    assert!(first.iter().all(|span| !span.attributes.contains_key("paysaga.duplicate")));
}

#[tokio::test]
async fn a_late_replay_says_so_and_is_linked_with_the_order() {
    let (collector, mut stack) = traced_stack().await;
    assert!(stack.payment.stop().await.success());
    let order_id = OrderId::new();
    let approval = Envelope::now(PaymentApproved { order_id, transaction_id: "t-1".to_owned() }, None);
    let other = "3af7651916cd43dd8448eb211c80319c";
    let mut headers = FieldTable::default();
    let traceparent = format!("00-{other}-b7ad6b7169203331-01");
    headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
    let properties = BasicProperties::default().with_headers(headers);
    let body = approval.encode().expect("an event can be written").body;
    stack.amqp.publish(EventType::PaymentApproved, body.as_bytes(), properties).await;
    let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await.remove(0);
    stack.amqp.place(order_id, None).await;
    stack.api.order_becomes(order_id, OrderStatus::PendingPayment).await;
    let replayed = stack.paysaga(&["failed", "replay", &failed.id.to_string()]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    stack.api.order_becomes(order_id, OrderStatus::Paid).await;
    stack.payment.start_again().await;
    stop(stack).await;

    let placed = "process orders.exchange:order.create.requested:order.create.queue";
    let placed = collector.spans().into_iter().find(|span| span.name == placed).expect("it was placed");
    let replay = collector.trace(other);
    let is_replay = |span: &&Span| span.attributes.get("paysaga.replay") == Some(&json!(true));
    let replay = replay.iter().find(is_replay).unwrap_or_else(|| panic!("{replay:#?}"));
    assert!(replay.links.contains(&placed.id), "{replay:#?}");
    assert_eq!(replay.attributes.get("saga.outcome"), Some(&json!("PAID")));
    let back = collector.trace(&placed.trace_id);
    let back = back.iter().find(|span| span.name == "linked: payment.approved").expect("it links back");
    assert_eq!(back.links, std::slice::from_ref(&replay.id));
}
