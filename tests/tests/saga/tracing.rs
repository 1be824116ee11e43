//! One saga, one trace.

use std::collections::{HashMap, HashSet};

use contracts::{EventType, OrderStatus};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{
    self, Client, Consumer, Internal, Producer, Server,
};
use reqwest::Response;
use serde_json::{Value, json};
use tests::Stack;
use tests::api::{IdempotencyKey, accepted, header, order};
use tests::otlp::{Collector, Span};
use tests::stack::StackBuilder;

/// An expected span: service, name, kind, and its parent's name.
pub(super) type Expected = (&'static str, &'static str, SpanKind, &'static str);

/// The spans of an order that is placed and paid.
pub(super) const PLACED: [Expected; 13] = [
    ("gateway", "POST /api/orders", Server, ""),
    ("gateway", "publish orders.exchange:order.create.requested", Producer, "POST /api/orders"),
    (
        "order",
        "process orders.exchange:order.create.requested:order.create.queue",
        Consumer,
        "publish orders.exchange:order.create.requested",
    ),
    ("order", "transaction", Internal, "process orders.exchange:order.create.requested:order.create.queue"),
    (
        "order",
        "publish orders.exchange:order.created",
        Producer,
        "process orders.exchange:order.create.requested:order.create.queue",
    ),
    (
        "payment",
        "process orders.exchange:order.created:payment.order-created.queue",
        Consumer,
        "publish orders.exchange:order.created",
    ),
    ("payment", "transaction", Internal, "process orders.exchange:order.created:payment.order-created.queue"),
    ("payment", "charge", Client, "process orders.exchange:order.created:payment.order-created.queue"),
    ("payment", "settle answer", Internal, "charge"),
    ("payment", "transaction", Internal, "settle answer"),
    ("payment", "publish payments.exchange:payment.approved", Producer, "settle answer"),
    (
        "order",
        "process payments.exchange:payment.approved:order.payment-result.queue",
        Consumer,
        "publish payments.exchange:payment.approved",
    ),
    (
        "order",
        "transaction",
        Internal,
        "process payments.exchange:payment.approved:order.payment-result.queue",
    ),
];

/// The spans of a paid order's cancellation.
const CANCELLED: [Expected; 15] = [
    ("gateway", "PATCH /api/orders/{id}/cancel", Server, ""),
    ("gateway", "publish orders.exchange:order.cancel.requested", Producer, "PATCH /api/orders/{id}/cancel"),
    (
        "order",
        "process orders.exchange:order.cancel.requested:order.cancel-requested.queue",
        Consumer,
        "publish orders.exchange:order.cancel.requested",
    ),
    (
        "order",
        "transaction",
        Internal,
        "process orders.exchange:order.cancel.requested:order.cancel-requested.queue",
    ),
    (
        "order",
        "publish orders.exchange:order.cancelled",
        Producer,
        "process orders.exchange:order.cancel.requested:order.cancel-requested.queue",
    ),
    (
        "payment",
        "process orders.exchange:order.cancelled:payment.order-cancelled.queue",
        Consumer,
        "publish orders.exchange:order.cancelled",
    ),
    (
        "payment",
        "transaction",
        Internal,
        "process orders.exchange:order.cancelled:payment.order-cancelled.queue",
    ),
    (
        "payment",
        "take step",
        Internal,
        "process orders.exchange:order.cancelled:payment.order-cancelled.queue",
    ),
    ("payment", "transaction", Internal, "take step"),
    ("payment", "refund", Client, "take step"),
    ("payment", "settle answer", Internal, "refund"),
    ("payment", "transaction", Internal, "settle answer"),
    ("payment", "publish payments.exchange:payment.refunded", Producer, "settle answer"),
    (
        "order",
        "process payments.exchange:payment.refunded:order.payment-timeline.queue",
        Consumer,
        "publish payments.exchange:payment.refunded",
    ),
    (
        "order",
        "transaction",
        Internal,
        "process payments.exchange:payment.refunded:order.payment-timeline.queue",
    ),
];

#[tokio::test]
async fn each_request_and_all_that_it_causes_in_three_services_is_one_trace() {
    let (collector, stack) = traced_stack().await;
    let placed_alone = stack.api.post(order("10.01")).await;
    let (alone, id) = (trace_of(&placed_alone), accepted(placed_alone).await);
    stack.api.order_becomes(id, OrderStatus::Paid).await;

    let placed = stack.api.post(order("10.01")).await;
    let (placed, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let cancelled = stack.api.patch(&format!("/api/orders/{id}/cancel"), "").await;
    assert_eq!(cancelled.status(), StatusCode::ACCEPTED);
    let cancelled = trace_of(&cancelled);
    stack.api.timeline_has(id, EventType::PaymentRefunded).await;
    stop(stack).await;

    is_this_trace(&collector.trace(&alone), &PLACED);
    // A client that sends no traceparent with its PATCH begins another trace; each finds the other.
    let links: [Expected; 3] = [
        (
            "order",
            "linked: order.cancel.requested",
            Internal,
            "process orders.exchange:order.create.requested:order.create.queue",
        ),
        (
            "payment",
            "linked: order.cancelled",
            Internal,
            "process orders.exchange:order.created:payment.order-created.queue",
        ),
        (
            "order",
            "linked: payment.refunded",
            Internal,
            "process orders.exchange:order.create.requested:order.create.queue",
        ),
    ];
    let (placed, cancelled) = (collector.trace(&placed), collector.trace(&cancelled));
    is_this_trace(&placed, &[&PLACED[..], &links].concat());
    is_this_trace(&cancelled, &CANCELLED);
    for (_, linked, _, parent) in links {
        let back = placed.iter().find(|span| span.name == linked).expect(linked);
        let [there] = back.links.as_slice() else { panic!("one link: {back:#?}") };
        let there = cancelled.iter().find(|span| span.id == *there).expect("it is in the other trace");
        let here = placed.iter().find(|span| span.name == parent).expect(parent);
        assert_eq!(there.links.last(), Some(&here.id), "{there:#?}");
    }
    // The refund belongs to the cancellation, and finds the order that it gives money back for.
    let order = placed.iter().find(|span| span.name == links[1].3).expect("the payment was opened");
    for name in ["take step", "refund"] {
        let span = cancelled.iter().find(|span| span.name == name).expect(name);
        assert_eq!(span.links, std::slice::from_ref(&order.id), "{span:#?}");
    }
}

#[tokio::test]
async fn spans_have_the_attributes_of_the_semantic_conventions() {
    let (collector, stack) = traced_stack().await;
    let request = stack.api.post_order(order("10.01")).header("x-correlation-id", "c-1");
    let placed = request.send().await.expect("an answer");
    let (trace_id, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let timeline = stack.api.timeline(id).await;
    stop(stack).await;

    let spans = collector.trace(&trace_id);
    has(&spans, "POST /api/orders", "http.request.method", json!("POST"));
    has(&spans, "POST /api/orders", "http.route", json!("/api/orders"));
    has(&spans, "POST /api/orders", "url.path", json!("/api/orders"));
    has(&spans, "POST /api/orders", "url.scheme", json!("http"));
    has(&spans, "POST /api/orders", "http.response.status_code", json!(202));
    let publish = "publish orders.exchange:order.create.requested";
    has(&spans, publish, "messaging.system", json!("rabbitmq"));
    has(&spans, publish, "messaging.operation.type", json!("send"));
    has(&spans, publish, "messaging.operation.name", json!("publish"));
    has(&spans, publish, "messaging.destination.name", json!("orders.exchange:order.create.requested"));
    has(&spans, publish, "messaging.rabbitmq.destination.routing_key", json!("order.create.requested"));
    has(&spans, publish, "messaging.message.id", json!(timeline.events[0].event_id));
    has(&spans, publish, "messaging.message.conversation_id", json!("c-1"));
    let process = "process orders.exchange:order.create.requested:order.create.queue";
    let destination = "orders.exchange:order.create.requested:order.create.queue";
    has(&spans, process, "messaging.system", json!("rabbitmq"));
    has(&spans, process, "messaging.operation.type", json!("process"));
    has(&spans, process, "messaging.operation.name", json!("process"));
    has(&spans, process, "messaging.destination.name", json!(destination));
    has(&spans, process, "messaging.message.id", json!(timeline.events[0].event_id));
    has(&spans, process, "messaging.rabbitmq.message.delivery_tag", json!(1));
    has(&spans, process, "order.id", json!(id));
    has(&spans, process, "messaging.rabbitmq.redelivered", json!(false));
    has(&spans, "transaction", "messaging.batch.message_count", json!(1));
    has(&spans, "charge", "payment.call_reason", json!("new"));
    has(&spans, "charge", "payment.attempt", json!(1));
    has(&spans, "charge", "payment.outcome", json!("approved"));
    has(&spans, "charge", "order.id", json!(id));
    // Where the order and its payment stood: what is looked for when somebody asks for the failed orders of the last hour.
    has(&spans, process, "order.status", json!("PENDING_PAYMENT"));
    let collect = "process orders.exchange:order.created:payment.order-created.queue";
    has(&spans, collect, "payment.status", json!("PROCESSING"));
    let paid = "process payments.exchange:payment.approved:order.payment-result.queue";
    has(&spans, paid, "order.status.before", json!("PENDING_PAYMENT"));
    has(&spans, paid, "order.status", json!("PAID"));
    has(&spans, paid, "saga.outcome", json!("PAID"));
    has(&spans, "settle answer", "payment.status", json!("APPROVED"));
    // The correlation id finds what each service did.
    for name in ["POST /api/orders", publish, process, collect, "charge", "settle answer", paid] {
        has(&spans, name, "correlation.id", json!("c-1"));
        has(&spans, name, "order.id", json!(id));
    }
}

#[tokio::test]
async fn a_clients_own_trace_is_continued_through_queries_and_commands() {
    let (collector, stack) = traced_stack().await;
    let (trace_id, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let traceparent = format!("00-{trace_id}-{parent}-01");
    let request = stack.api.post_keyed(IdempotencyKey("k-1"), "10.01").header("traceparent", &traceparent);
    let placed = request.header("tracestate", "shop=cart").send().await.expect("an answer");
    assert_eq!(trace_of(&placed), trace_id);
    let id = accepted(placed).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let query_trace = "0af7651916cd43dd8448eb211c80319c";
    let query = stack.api.request(Method::GET, &format!("/api/orders/{id}"));
    let query = query.header("traceparent", format!("00-{query_trace}-{parent}-01"));
    assert_eq!(query.send().await.expect("an answer").status(), StatusCode::OK);
    stop(stack).await;

    let spans = collector.trace(trace_id);
    let root = spans.iter().find(|span| span.parent == parent).expect("the client's span has a child");
    assert_eq!((root.service.as_str(), root.name.as_str()), ("gateway", "POST /api/orders"));
    let answer = "PUT /idempotency-keys/{id}/answer";
    let under_key: [Expected; 4] = [
        ("gateway", "PUT /idempotency-keys", Client, "POST /api/orders"),
        ("order", "PUT /idempotency-keys", Server, "PUT /idempotency-keys"),
        ("gateway", answer, Client, "POST /api/orders"),
        ("order", answer, Server, answer),
    ];
    is_this_trace(&rooted(spans, parent), &[&PLACED[..], &under_key].concat());
    let query: [Expected; 3] = [
        ("gateway", "GET /api/orders/{id}", Server, ""),
        ("gateway", "GET /orders/{id}", Client, "GET /api/orders/{id}"),
        ("order", "GET /orders/{id}", Server, "GET /orders/{id}"),
    ];
    let spans = rooted(collector.trace(query_trace), parent);
    is_this_trace(&spans, &query);
    has(&spans, "GET /api/orders/{id}", "http.response.status_code", json!(200));
    has(&spans, "GET /api/orders/{id}", "order.id", json!(id));
}

#[tokio::test]
async fn sql_statements_are_spans_where_that_is_asked_for() {
    let (collector, stack) = traced(Stack::with().env("TRACE_STATEMENTS", "on")).await;
    let placed = stack.api.post(order("10.01")).await;
    let (trace_id, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stop(stack).await;

    let spans = collector.trace(&trace_id);
    let statements: Vec<_> =
        spans.iter().filter(|span| span.attributes.contains_key("db.system.name")).collect();
    let transactions = spans.iter().filter(|span| span.name == "transaction").map(|span| &span.id);
    let transactions: HashSet<_> = transactions.collect();
    assert!(statements.iter().any(|span| span.name.starts_with("INSERT INTO orders")), "{spans:#?}");
    assert!(statements.iter().any(|span| span.name.starts_with("INSERT INTO payments")), "{spans:#?}");
    for statement in statements {
        assert_eq!(statement.kind, Client);
        assert!(transactions.contains(&statement.parent), "{statement:#?}");
    }
}

#[tokio::test]
async fn no_span_is_an_orphan_when_many_orders_share_a_batch() {
    let (collector, stack) = traced_stack().await;
    let placed = join_all((0..20).map(|_| stack.api.post(order("10.01")))).await;
    let traces: Vec<_> = placed.iter().map(trace_of).collect();
    for placed in placed {
        let id = accepted(placed).await;
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    stop(stack).await;
    let transactions: Vec<_> = traces.iter().flat_map(|trace_id| collector.trace(trace_id)).collect();
    let transactions = transactions.into_iter().filter(|span| span.name == "transaction");
    let transactions: HashMap<_, _> = transactions.map(|span| (span.id.clone(), span)).collect();
    for trace_id in traces {
        let spans = collector.trace(&trace_id);
        no_orphan(&spans);
        is_this_trace(&spans, &PLACED);
        // A transaction that messages share belongs to the trace of one of them; the others' shares link to it.
        for share in spans.iter().filter(|span| span.name == "transaction") {
            let count = share.attributes["messaging.batch.message_count"].as_i64().expect("a number");
            match share.links.as_slice() {
                [] => {}
                [shared] => {
                    let shared = transactions.get(shared).expect("it links to the shared one");
                    assert!(count > 1 && shared.links.is_empty(), "{share:#?} {shared:#?}");
                    assert_eq!(shared.attributes["messaging.batch.message_count"], count);
                }
                _ => panic!("it links to one: {share:#?}"),
            }
        }
    }
}

pub(super) async fn traced_stack() -> (Collector, Stack) {
    traced(Stack::with()).await
}

pub(super) async fn traced(stack: StackBuilder) -> (Collector, Stack) {
    let collector = Collector::start().await;
    let stack = stack
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .env("DRAIN_GRACE", "0ms")
        .start()
        .await;
    (collector, stack)
}

/// Stops the services. Each exports its remaining spans first, so a span that is missing afterwards does not exist.
pub(super) async fn stop(mut stack: Stack) {
    let (gateway, order, payment) =
        tokio::join!(stack.gateway.stop(), stack.order.stop(), stack.payment.stop());
    assert!(gateway.success() && order.success() && payment.success());
}

fn is_this_trace(spans: &[Span], expected: &[Expected]) {
    no_orphan(spans);
    let name_of = |id: &str| spans.iter().find(|span| span.id == id).map_or("", |span| span.name.as_str());
    // How long something waited differs from run to run, and what waited a moment has no span for it.
    let mut found: Vec<_> = spans
        .iter()
        .filter(|span| !span.name.starts_with("wait: "))
        .map(|span| {
            (span.service.as_str(), span.name.as_str(), span.kind.as_str_name(), name_of(&span.parent))
        })
        .collect();
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(service, name, kind, parent)| (*service, *name, kind.as_str_name(), *parent))
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// Every span but the root has its parent in the trace; a consumer's span is the child of the producer's and links to it.
fn no_orphan(spans: &[Span]) {
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "{spans:#?}");
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        let parent = spans.iter().find(|parent| parent.id == span.parent);
        let parent =
            parent.unwrap_or_else(|| panic!("{} {} is an orphan: {spans:#?}", span.service, span.name));
        if span.kind == Consumer {
            assert_eq!(parent.kind, Producer, "{}", span.name);
            assert_eq!(span.links.first(), Some(&parent.id), "{}", span.name);
        }
    }
}

/// The trace with the children of the client's span as roots: the client's spans are not collected.
fn rooted(mut spans: Vec<Span>, parent: &str) -> Vec<Span> {
    for span in spans.iter_mut().filter(|span| span.parent == parent) {
        span.parent.clear();
    }
    spans
}

#[expect(clippy::needless_pass_by_value, reason = "reads better with the literal in place")]
pub(super) fn has(spans: &[Span], name: &str, attribute: &str, value: Value) {
    let span = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("there is {name}"));
    assert_eq!(span.attributes.get(attribute), Some(&value), "{name} {attribute}");
}

pub(super) fn trace_of(response: &Response) -> String {
    header(response, "traceparent")[3..35].to_owned()
}
