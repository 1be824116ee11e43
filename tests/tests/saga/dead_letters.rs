//! Messages that can't be processed: each goes to the dead-letter queue of its queue and blocks no other.

use contracts::event::{
    CreateOrderRequested, OrderCancelRequested, PaymentApproved, PaymentCancelled, PaymentDeclined,
    PaymentFailed, PaymentRefunded,
};
use contracts::order::Order;
use contracts::topology::Queue;
use contracts::{Envelope, Event, EventType, OrderId, OrderStatus, PaymentStatus};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use strum::VariantArray;
use tests::api::USER;
use tests::{Stack, eventually};
use uuid::Uuid;

/// PostgreSQL stores no NUL; a sender can write one all the same.
#[tokio::test]
async fn a_nul_in_a_text_is_no_reason_to_reject_a_message() {
    let stack = Stack::start().await;
    let id = OrderId::new();
    let created = CreateOrderRequested {
        order_id: Some(id),
        user_id: Uuid::new_v4().into(),
        total: "10.01".parse().expect("an amount"),
        owner: None,
    };
    let created = Envelope::now(created, Some("a\0b".to_owned()));
    let properties = BasicProperties::default().with_headers(nul_in_the_trace());
    let body = created.encode().expect("an event can be written").body;
    stack.amqp.publish(EventType::CreateOrderRequested, body.as_bytes(), properties.clone()).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let declined = PaymentDeclined { order_id: id, reason: "no\0money".to_owned() };
    stack.amqp.publish_event(&Envelope::now(declined, None)).await;
    stack.api.timeline_has(id, EventType::PaymentDeclined).await;
    let timeline = stack.api.timeline(id).await;
    let reason = timeline.events.iter().find_map(|event| event.payload["reason"].as_str());
    assert_eq!(reason, Some("no\u{fffd}money"));
    for queue in Queue::VARIANTS {
        assert_eq!(stack.amqp.depth(queue.dead_letter_queue()).await, 0, "{queue}");
        stack.api.failed_messages_are(*queue, 0).await;
    }
    // What is dead-lettered for another reason is stored.
    stack.amqp.publish(EventType::CreateOrderRequested, b"no JSON", properties).await;
    stack.api.failed_messages_are(Queue::OrderCreate, 1).await;
}

/// The row is what it fails for.
#[tokio::test]
async fn a_message_about_an_order_that_can_not_be_read_is_stored() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.drain_every_queue().await;
    let damaged = sqlx::query("UPDATE orders SET total = 'NaN' WHERE id = $1").bind(id);
    damaged.execute(&stack.order_database).await.expect("the database answers");
    let approved = PaymentApproved { order_id: id, transaction_id: "t-1".to_owned() };
    stack.amqp.publish_event(&Envelope::now(approved, None)).await;
    let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await;
    assert_eq!((failed[0].order_id, failed[0].amount), (Some(id), None));
}

/// The header is valid but for the NUL.
fn nul_in_the_trace() -> FieldTable {
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "shop=a\0b"),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    headers
}

#[tokio::test]
async fn poison_goes_to_the_dead_letter_queue_of_its_queue_and_what_comes_after_it_is_processed() {
    let stack = Stack::start().await;
    let mut sent = Vec::new();
    for &queue in Queue::VARIANTS {
        let event_type = queue.routes().next().expect("it has a route").event_type;
        for body in poison(queue) {
            stack.amqp.publish(event_type, body.as_bytes(), BasicProperties::default()).await;
            sent.push((queue, body));
        }
    }
    stack.drain_every_queue().await;
    for &queue in Queue::VARIANTS {
        let mut expected: Vec<_> =
            sent.iter().filter(|(of, _)| *of == queue).map(|(_, body)| body.clone()).collect();
        let mut found = Vec::new();
        for message in stack.api.failed_messages_are(queue, expected.len()).await {
            let message = stack.api.failed_message(queue, message.id).await;
            assert_eq!(message.headers["x-first-death-queue"], queue.name());
            assert_eq!(message.headers["x-first-death-reason"], "rejected");
            assert_ne!(message.message.reason, "rejected", "the reason is the consumer's");
            found.push(message.body);
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{queue}");
    }
    // Nothing else was dead-lettered.
    stack.amqp.all_queues_empty().await;
}

#[tokio::test]
async fn poison_does_not_affect_the_rest_of_its_batch() {
    let stack = Stack::start().await;
    // While the first order waits for the table, the others collect into one batch.
    let mut transaction = stack.order_database.begin().await.expect("the database answers");
    let lock = sqlx::query("LOCK TABLE orders IN EXCLUSIVE MODE");
    lock.execute(&mut *transaction).await.expect("the table can be locked");
    let first = stack.api.place("10.01").await;
    eventually("the first order waits for the table", async || {
        let waiting = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass",
        );
        let count = waiting.fetch_one(&stack.order_database).await.expect("the database answers");
        if count == 1 { Ok(()) } else { Err("it does not") }
    })
    .await;

    let unknown = approval_of(Uuid::new_v4().into());
    let unknown = unknown.encode().expect("an event can be written").body;
    let mut valid = vec![stack.api.place("10.01").await];
    for poison in ["not json", &unknown] {
        let properties =
            BasicProperties::default().with_message_id(poison.get(..8).unwrap_or_default().into());
        stack.amqp.publish(EventType::CreateOrderRequested, poison.as_bytes(), properties).await;
        valid.push(stack.api.place("10.01").await);
    }
    eventually("all of them are delivered to the order service", async || {
        match stack.amqp.depth("order.create.queue").await {
            0 => Ok(()),
            depth => Err(format!("{depth} are not")),
        }
    })
    .await;
    transaction.rollback().await.expect("the database answers");

    let mut created = Vec::new();
    for id in &valid {
        created.push(stack.api.order_becomes(*id, OrderStatus::Paid).await.created_at);
    }
    // now() is the same throughout a transaction, so they share one: the batch was not split.
    assert_eq!(created, vec![created[0]; valid.len()]);
    stack.api.order_becomes(first, OrderStatus::Paid).await;
    for message in stack.api.failed_messages_are(Queue::OrderCreate, 2).await {
        let message = stack.api.failed_message(Queue::OrderCreate, message.id).await;
        assert!(["not json", &unknown].contains(&message.body.as_str()), "{}", message.body);
        // Its properties are kept.
        assert_eq!(message.message.message_id.as_deref(), message.body.get(..8));
    }
    stack.amqp.all_queues_empty().await;
}

#[tokio::test]
async fn a_payment_result_of_an_order_that_does_not_exist_is_dead_lettered() {
    let stack = Stack::start().await;
    let unknown = OrderId::from(Uuid::new_v4());
    let transaction_id = "t".to_owned();
    let events: [Event; 5] = [
        PaymentApproved { order_id: unknown, transaction_id: transaction_id.clone() }.into(),
        PaymentDeclined { order_id: unknown, reason: "no".to_owned() }.into(),
        PaymentFailed { order_id: unknown, error: "no".to_owned() }.into(),
        PaymentCancelled { order_id: unknown, transaction_id: None }.into(),
        PaymentRefunded { order_id: unknown, transaction_id }.into(),
    ];
    for event in events {
        stack.amqp.publish_event(&Envelope::now(event, None)).await;
    }
    for (queue, count) in [(Queue::OrderPaymentResult, 3), (Queue::OrderPaymentTimeline, 2)] {
        for message in stack.api.failed_messages_are(queue, count).await {
            assert_eq!(message.reason, "a payment result for an order that does not exist");
        }
    }
    stack.drain_every_queue().await;
    let order: Option<Order> = stack.api.order(unknown).await;
    assert_eq!(order, None);
    stack.amqp.all_queues_empty().await;
}

#[tokio::test]
async fn an_event_on_another_queue_of_its_service_is_dead_lettered() {
    let stack = Stack::start().await;
    let paid = stack.api.place("10.01").await;
    stack.api.order_becomes(paid, OrderStatus::Paid).await;
    stack.api.payment_becomes(paid, PaymentStatus::Approved).await;
    // A cancellation under the routing key of new orders.
    let cancel = Envelope::now(OrderCancelRequested { order_id: paid, owner: None }, None);
    let body = cancel.encode().expect("an event can be written").body;
    stack.amqp.publish(EventType::CreateOrderRequested, body.as_bytes(), BasicProperties::default()).await;
    let failed = stack.api.failed_messages_are(Queue::OrderCreate, 1).await;
    assert_eq!(failed[0].reason, "OrderCancelRequested does not belong on order.create.queue");
    stack.api.order_becomes(paid, OrderStatus::Paid).await;
}

/// Bodies that can never be processed in a queue.
fn poison(queue: Queue) -> Vec<String> {
    let event_type = queue.routes().next().expect("it has a route").event_type;
    let id = Uuid::new_v4();
    let envelope = |event_type: &str, payload: &str| {
        format!(
            r#"{{"eventType":"{event_type}","eventId":"{id}","occurredAt":"2026-01-02T03:04:05.678Z","payload":{payload}}}"#
        )
    };
    let name = event_type.to_string();
    let mut poison = vec![
        String::new(),
        "not json".to_owned(),
        "[]".to_owned(),
        format!(r#"{{"eventType":"{name}","eventId":"{id}","occurredAt":"2026-01-02T03:04:05.678Z"}}"#),
        envelope(&name, "{}"),
        envelope(&name, "null"),
        envelope(&name, r#"{"orderId":"7","userId":"7","total":1,"transactionId":"t"}"#),
        envelope("OrderShipped", &format!(r#"{{"orderId":"{id}"}}"#)),
        envelope(&name, "{}").replace(&id.to_string(), "7"),
        envelope(&name, "{}").replace("2026-01-02T03:04:05.678Z", "yesterday"),
    ];
    if matches!(queue, Queue::OrderCreate | Queue::PaymentOrderCreated) {
        for total in ["0", "-1", "0.001", "1e15", "\"12\"", "null"] {
            poison
                .push(envelope(&name, &format!(r#"{{"orderId":"{id}","userId":"{USER}","total":{total}}}"#)));
        }
    }
    // An event of the contract that is for the other service.
    let foreign = match queue.consumer() {
        contracts::topology::Service::Order => {
            envelope("OrderCreated", &format!(r#"{{"orderId":"{id}","userId":"{USER}","total":1}}"#))
        }
        _ => approval_of(OrderId::from(id)).encode().expect("an event can be written").body,
    };
    poison.push(foreign);
    poison
}

fn approval_of(order_id: OrderId) -> Envelope {
    Envelope::now(PaymentApproved { order_id, transaction_id: "t".to_owned() }, None)
}
