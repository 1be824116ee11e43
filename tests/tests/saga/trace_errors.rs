//! What went wrong is an error in its trace, and nothing else is.

use contracts::topology::Queue;
use contracts::{EventType, OrderStatus};
use http::StatusCode;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use tests::Stack;
use tests::api::{accepted, order};
use tests::otlp::{Collector, Span};

use super::tracing::{stop, trace_of, traced, traced_stack};

#[tokio::test]
async fn a_rejected_message_is_an_error_with_its_reason() {
    let (collector, stack) = traced_stack().await;
    let envelope = |event_type: &str, payload: &str| {
        format!(
            r#"{{"eventType":"{event_type}","eventId":"0f7c3b1e-52f8-4a3f-9d39-2f4f3d2d4b11","occurredAt":"2026-01-01T00:00:00.000Z","payload":{payload}}}"#
        )
    };
    let poison = [
        ("1af7651916cd43dd8448eb211c80319c", "no JSON".to_owned(), "unreadable", "not an event envelope"),
        (
            "2af7651916cd43dd8448eb211c80319c",
            envelope("OrderShipped", "{}"),
            "contract",
            "an unknown eventType",
        ),
        (
            "3af7651916cd43dd8448eb211c80319c",
            envelope("CreateOrderRequested", "{}"),
            "contract",
            "payload of CreateOrderRequested",
        ),
    ];
    for (trace_id, body, ..) in &poison {
        let traceparent = format!("00-{trace_id}-b7ad6b7169203331-01");
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
        let properties = BasicProperties::default().with_headers(headers);
        stack.amqp.publish(EventType::CreateOrderRequested, body.as_bytes(), properties).await;
    }
    stack.api.failed_messages_are(Queue::OrderCreate, poison.len()).await;
    stop(stack).await;

    for (trace_id, _, error_type, reason) in poison {
        let spans = collector.trace(trace_id);
        let [span] = spans.as_slice() else { panic!("one span: {spans:#?}") };
        let error = span.error.as_deref().expect("it is an error");
        assert!(error.contains(reason), "{error}");
        assert_eq!(span.attributes.get("error.type"), Some(&json!(error_type)));
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_an_error_and_a_decline_is_none() {
    let (collector, stack) = traced(Stack::with().env("PROVIDER_TIMEOUT", "300ms")).await;
    let declined = stack.api.post(order("10.02")).await;
    let (trace_of_decline, id) = (trace_of(&declined), accepted(declined).await);
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;

    // The simulated provider can't answer without its table.
    let mut provider = stack.payment_database.begin().await.expect("the database answers");
    let lock = sqlx::query("LOCK TABLE provider_simulator.charges IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut *provider).await.expect("the table can be locked");
    let placed = stack.api.post(order("10.01")).await;
    let (trace_of_timeout, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.call_is_unanswered(id).await;
    provider.rollback().await.expect("the database answers");
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stop(stack).await;

    assert_eq!(errors(&collector, &trace_of_decline), Vec::<String>::new());
    let unanswered = collector.trace(&trace_of_timeout);
    let failed: Vec<&Span> = unanswered.iter().filter(|span| span.error.is_some()).collect();
    assert!(!failed.is_empty(), "{unanswered:#?}");
    for span in failed {
        assert!(["charge", "lookup"].contains(&&*span.name), "{span:#?}");
        assert_eq!(span.attributes.get("error.type"), Some(&json!("timeout")));
        assert!(span.error.as_deref().is_some_and(|error| error.contains("no answer within 300 ms")));
    }
}

#[tokio::test]
async fn a_request_that_the_services_could_not_answer_is_an_error_and_a_mistake_of_the_client_is_none() {
    let (collector, mut stack) = traced_stack().await;
    let unknown = stack.api.get(&format!("/api/orders/{}", tests::api::UNKNOWN_ID)).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(stack.order.stop().await.success());
    let unavailable = stack.api.get("/api/orders").await;
    assert_eq!(unavailable.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (unknown, unavailable) = (trace_of(&unknown), trace_of(&unavailable));
    assert!(stack.gateway.stop().await.success());

    assert_eq!(errors(&collector, &unknown), Vec::<String>::new());
    assert_eq!(errors(&collector, &unavailable), ["GET /api/orders", "GET /orders"]);
    let spans = collector.trace(&unavailable);
    let of =
        |name| spans.iter().find(|span| span.name == name).and_then(|span| span.attributes.get("error.type"));
    assert_eq!(of("GET /api/orders"), Some(&json!("503")));
    assert_eq!(of("GET /orders"), Some(&json!("unavailable")));
}

/// The names of the trace's spans that are errors.
fn errors(collector: &Collector, trace_id: &str) -> Vec<String> {
    let spans = collector.trace(trace_id);
    assert!(!spans.is_empty(), "the trace has arrived");
    let mut names: Vec<_> =
        spans.into_iter().filter(|span| span.error.is_some()).map(|span| span.name).collect();
    names.sort();
    names.dedup();
    names
}
