//! PAID needs money: an event is believed only from the service whose event it is.

use contracts::event::{CreateOrderRequested, PaymentApproved};
use contracts::failed_message::FailedMessage;
use contracts::topology::{Queue, Service};
use contracts::{Envelope, EventType, OrderId, OrderStatus};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use tests::api::USER;
use tests::infrastructure::servers;
use tests::{Stack, eventually};

/// The approval of a payment that was never made.
fn approval(order_id: OrderId) -> Vec<u8> {
    let approved = PaymentApproved { order_id, transaction_id: "forged".to_owned() };
    Envelope::now(approved, None).encode().expect("an event can be written").body.into_bytes()
}

fn url_of(stack: &Stack, service: Service) -> &str {
    let process = match service {
        Service::Gateway => &stack.gateway,
        Service::Order => &stack.order,
        Service::Payment => &stack.payment,
    };
    &process.environment()["RABBITMQ_URL"]
}

fn user_of(stack: &Stack, service: Service) -> &str {
    let user = url_of(stack, service).strip_prefix("amqp://").and_then(|rest| rest.split(':').next());
    user.expect("the URL names a user")
}

/// Tries to publish as a service's user; the broker's refusal, if it refuses.
async fn publish_as(
    stack: &Stack,
    service: Service,
    (exchange, routing_key): (&str, &str),
    properties: BasicProperties,
    body: &[u8],
) -> Result<Confirmation, lapin::Error> {
    let connection = Connection::connect(url_of(stack, service), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties).await?.await
}

/// Handles a failed message again, and waits until it has failed once more.
async fn replay_in_vain(stack: &Stack, failed: &FailedMessage) -> FailedMessage {
    let id = failed.id.to_string();
    let ran = stack.paysaga(&["failed", "replay", &id]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    eventually("it failed again", async || {
        let again = stack.api.failed_message(Queue::OrderPaymentResult, failed.id).await.message;
        if again.attempts > failed.attempts { Ok(again) } else { Err(format!("{again:?}")) }
    })
    .await
}

#[tokio::test]
async fn only_the_payment_service_can_say_that_an_order_is_paid() {
    let stack = Stack::with().own_broker_users().start().await;
    let id = stack.api.place("10.02").await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    let route = EventType::PaymentApproved.route();
    let (exchange, key) = (route.exchange.name(), route.routing_key);
    for service in [Service::Gateway, Service::Order] {
        for target in [
            (exchange, key),
            // Under the event's key, on the exchange that the service writes to.
            ("orders.exchange", key),
            // Straight into the queue.
            ("", Queue::OrderPaymentResult.name()),
            ("", Queue::OrderPaymentResult.dead_letter_queue()),
            ("dlx.exchange", Queue::OrderPaymentResult.dead_letter_queue()),
        ] {
            let refused =
                publish_as(&stack, service, target, BasicProperties::default(), &approval(id)).await;
            let refused = refused.expect_err("it is refused").to_string();
            assert!(refused.contains("ACCESS_REFUSED"), "{service} to {target:?}: {refused}");
        }
    }
    // In the name of another user.
    let forged = BasicProperties::default().with_user_id("another".into());
    let target = ("orders.exchange", EventType::OrderCancelRequested.route().routing_key);
    let refused = publish_as(&stack, Service::Gateway, target, forged, &approval(id)).await;
    let refused = refused.expect_err("it is refused").to_string();
    assert!(refused.contains("PRECONDITION_FAILED") || refused.contains("user_id"), "{refused}");

    stack.drain_every_queue().await;
    let approvals = stack.api.timeline(id).await.events.into_iter();
    assert_eq!(approvals.filter(|event| event.event_type == EventType::PaymentApproved).count(), 0);
    assert_eq!(stack.api.failed_messages_are(Queue::OrderPaymentResult, 0).await, []);
}

/// With too many permissions, such as those of an administrator, a user can publish anything.
#[tokio::test]
async fn an_event_of_another_publisher_is_a_failed_message_however_often_it_is_replayed() {
    let stack = Stack::with().own_broker_users().start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let administrator = servers().await.rabbitmq.user.as_str();
    for (count, properties, reason) in [
        (1, BasicProperties::default(), "PaymentApproved has no user_id"),
        (
            2,
            BasicProperties::default().with_user_id(administrator.into()),
            "PaymentApproved was published by",
        ),
    ] {
        stack.amqp.publish(EventType::PaymentApproved, &approval(id), properties).await;
        let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, count).await.remove(0);
        assert!(failed.reason.contains(reason), "{failed:?}");
        let again = replay_in_vain(&stack, &failed).await;
        assert!(again.reason.contains(reason), "{again:?}");
    }
    assert_eq!(stack.api.order(id).await.expect("an order").status, OrderStatus::PendingPayment);
    drop(held);
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}

#[tokio::test]
async fn a_message_of_the_right_publisher_is_replayed() {
    let stack = Stack::with().own_broker_users().start().await;
    let id = OrderId::new();
    let publish = async |event: Envelope| {
        let route = event.event.event_type().route();
        let user = user_of(&stack, route.publisher);
        let properties = BasicProperties::default().with_user_id(user.into());
        let body = event.encode().expect("an event can be written").body;
        let target = (route.exchange.name(), route.routing_key);
        let sent = publish_as(&stack, route.publisher, target, properties, body.as_bytes()).await;
        assert_eq!(sent.expect("it is taken"), Confirmation::Ack(None));
    };
    publish(Envelope::now(PaymentApproved { order_id: id, transaction_id: "early".to_owned() }, None)).await;
    let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await.remove(0);
    assert!(failed.reason.contains("an order that does not exist"), "{failed:?}");
    let held = stack.block_provider().await;
    let (user_id, total) = (USER.parse().expect("a UUID"), "10.01".parse().expect("an amount"));
    publish(Envelope::now(CreateOrderRequested { order_id: Some(id), user_id, total, owner: None }, None))
        .await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let ran = stack.paysaga(&["failed", "replay", &failed.id.to_string()]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    drop(held);
}

#[tokio::test]
async fn beside_nestjs_services_every_publisher_is_believed() {
    let stack = Stack::with().own_broker_users().env("VERIFY_PUBLISHERS", "off").start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    stack.amqp.publish(EventType::PaymentApproved, &approval(id), BasicProperties::default()).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    drop(held);
}
