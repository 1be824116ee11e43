//! The log: one flat JSON object a line, which tells what it belongs to (docs/LOGGING.md).

use contracts::event::PaymentApproved;
use contracts::topology::Queue;
use contracts::{Envelope, OrderId, OrderStatus, PaymentStatus};
use lapin::BasicProperties;
use serde_json::Value;
use tests::service::ServiceProcess;
use tests::{Stack, eventually};

use super::tracing::stop;

#[tokio::test]
async fn every_line_is_flat_and_one_about_an_order_belongs_to_a_trace() {
    let stack = Stack::with()
        .env("RUST_LOG", "info,sqlx=warn,lapin=off,chassis=debug,gateway=debug,order=debug,payment=debug")
        .start()
        .await;
    for (total, status) in
        [("10.01", OrderStatus::Paid), ("10.02", OrderStatus::Cancelled), ("10.03", OrderStatus::Failed)]
    {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, status).await;
        stack.api.cancel(id).await;
    }
    let rejected = a_rejected_message(&stack).await;
    stack.drain_every_queue().await;

    for service in [&stack.gateway, &stack.order, &stack.payment] {
        let log = service.log();
        for (text, line) in log.lines().zip(service.log_lines()) {
            let object = line.as_object().unwrap_or_else(|| panic!("an object: {text}"));
            for member in ["timestamp", "level", "service.name", "target", "message"] {
                assert!(object.get(member).is_some_and(Value::is_string), "{member}: {text}");
            }
            assert!(object.values().all(|value| !value.is_object() && !value.is_array()), "flat: {text}");
            // A member that is there twice is one when it is read.
            assert_eq!(line.to_string().len(), text.len(), "{text}");
            if object.contains_key("order.id") {
                assert!(object.contains_key("trace_id") && object.contains_key("span_id"), "{text}");
            }
        }
    }
    let replayed = line(&stack.order, "failed message failed again");
    assert_eq!(replayed["order.id"], Value::from(rejected.to_string()));
    stop(stack).await;
}

#[tokio::test]
async fn a_paid_order_is_one_line_in_each_service() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.drain_every_queue().await;
    for (service, message) in [
        (&stack.gateway, "order accepted"),
        (&stack.order, "order PAID"),
        (&stack.payment, "payment APPROVED"),
    ] {
        assert_eq!(messages_about(service, id), [message]);
    }
    stack.api.cancel(id).await;
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    stack.drain_every_queue().await;
    for (service, message) in [
        (&stack.gateway, "recorded for the audit"),
        (&stack.order, "order CANCELLED"),
        (&stack.payment, "payment REFUNDED"),
    ] {
        assert_eq!(messages_about(service, id)[1..], [message]);
    }
    let cancelled = line(&stack.order, "order CANCELLED");
    assert_eq!(cancelled["reason"], "USER_REQUESTED");
}

#[tokio::test]
async fn an_unanswered_charge_and_a_deadline_are_told_with_their_trace() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "300ms").env("SAGA_TIMEOUT", "2s").start().await;
    let provider = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    provider.release().await;
    let unanswered = line(&stack.payment, "the payment provider did not answer; it is asked again");
    let late = line(&stack.order, "order CANCELLED");
    for line in [&unanswered, &late] {
        assert_eq!(line["order.id"], Value::from(id.to_string()), "{line}");
        assert_eq!(line["trace_id"], unanswered["trace_id"], "{line}");
    }
    assert_eq!((&unanswered["level"], &late["reason"]), (&"WARN".into(), &"PAYMENT_TIMEOUT".into()));
    assert!(unanswered["retry_in_ms"].is_number() && unanswered["error"].is_string(), "{unanswered}");
}

/// A payment result for an order that was never placed: rejected, and once more when it is replayed.
async fn a_rejected_message(stack: &Stack) -> OrderId {
    let order_id = OrderId::new();
    let approval = Envelope::now(PaymentApproved { order_id, transaction_id: "t-1".to_owned() }, None);
    let body = approval.encode().expect("an event can be written").body;
    stack.amqp.publish(approval.event.event_type(), body.as_bytes(), BasicProperties::default()).await;
    let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await.remove(0);
    let ran = stack.paysaga(&["failed", "replay", &failed.id.to_string()]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    eventually("it failed again", async || {
        let again = stack.order.log().contains("failed message failed again");
        if again { Ok(()) } else { Err(stack.order.log()) }
    })
    .await;
    order_id
}

/// The messages of the lines that are logged about an order.
fn messages_about(service: &ServiceProcess, id: OrderId) -> Vec<String> {
    let lines = service.log_lines();
    let about = lines.iter().filter(|line| line["order.id"] == id.to_string());
    about.map(|line| line["message"].as_str().expect("a text").to_owned()).collect()
}

/// The first line with this message.
fn line(service: &ServiceProcess, message: &str) -> Value {
    let lines = service.log_lines();
    let line = lines.into_iter().find(|line| line["message"] == message);
    line.unwrap_or_else(|| panic!("no line {message}: {}", service.log()))
}
