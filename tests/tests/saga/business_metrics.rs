//! What the saga counts about orders, money and failures.

use std::collections::BTreeSet;

use contracts::topology::Queue;
use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use http::Method;
use lapin::BasicProperties;
use strum::VariantArray;
use tests::service::ServiceProcess;
use tests::{Stack, eventually};

#[tokio::test]
async fn orders_money_and_failures_are_counted() {
    let stack = Stack::start().await;
    for (total, status) in [
        ("10.01", OrderStatus::Paid),
        ("20.01", OrderStatus::Paid),
        ("10.02", OrderStatus::Cancelled),
        ("10.03", OrderStatus::Failed),
    ] {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, status).await;
        if total == "20.01" {
            stack.api.cancel(id).await;
            stack.api.order_becomes(id, OrderStatus::Cancelled).await;
            stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
        }
    }
    stack.amqp.publish(EventType::CreateOrderRequested, b"no JSON", BasicProperties::default()).await;
    stack.api.failed_messages_are(Queue::OrderCreate, 1).await;

    let (gateway, order, payment) =
        (stack.gateway.metrics().await, stack.order.metrics().await, stack.payment.metrics().await);
    for (text, series, expected) in [
        (&gateway, "paysaga_orders_accepted_total", "4"),
        (&order, r#"paysaga_orders_settled_total{reason="",status="PAID"}"#, "2"),
        (&order, r#"paysaga_orders_settled_total{reason="",status="FAILED"}"#, "1"),
        (&order, r#"paysaga_orders_settled_total{reason="PAYMENT_DECLINED",status="CANCELLED"}"#, "1"),
        (&order, r#"paysaga_orders_settled_total{reason="USER_REQUESTED",status="CANCELLED"}"#, "1"),
        (&order, r#"paysaga_orders_settled_total{reason="PAYMENT_TIMEOUT",status="CANCELLED"}"#, "0"),
        (&order, r#"paysaga_saga_duration_seconds_count{outcome="PAID",reason=""}"#, "2"),
        (&order, r#"paysaga_saga_duration_seconds_bucket{outcome="PAID",reason="",le="900"}"#, "2"),
        (&order, r#"paysaga_dead_lettered_total{error_type="unreadable",queue="order.create.queue"}"#, "1"),
        (&order, r#"paysaga_batch_size_count{queue="order.cancel-requested.queue"}"#, "1"),
        (&payment, r#"paysaga_money_total{flow="charged"}"#, "30.02"),
        (&payment, r#"paysaga_money_total{flow="refunded"}"#, "20.01"),
        (&payment, r#"paysaga_refunds_total{result="made"}"#, "1"),
        (&payment, r#"paysaga_refunds_total{result="refused"}"#, "0"),
        (&order, "paysaga_orders_placed_total", "4"),
        (&payment, r#"paysaga_payments_settled_total{status="APPROVED"}"#, "2"),
        (&payment, r#"paysaga_payments_settled_total{status="REFUNDED"}"#, "1"),
        (&payment, "paysaga_provider_in_flight", "0"),
    ] {
        let found = value(text, series).and_then(|value| value.parse::<f64>().ok());
        let expected: f64 = expected.parse().expect("a number");
        // To the cent: sums of decimals are not exact in binary.
        let equal = found.is_some_and(|found| (found - expected).abs() < 0.001);
        assert!(equal, "{series} is not {expected}: {}", lines_of(text, series));
    }
    // An order is no longer under way than it exists.
    let sum = r#"paysaga_saga_duration_seconds_sum{outcome="PAID",reason=""}"#;
    let seconds: f64 = value(&order, sum).and_then(|sum| sum.parse().ok()).expect("a number of seconds");
    assert!(seconds > 0.0, "{seconds}");
}

#[tokio::test]
async fn the_counters_of_the_nestjs_services_are_there_where_they_are_asked_for() {
    let stack = Stack::with().env("NESTJS_METRICS", "on").start().await;
    for (total, status) in
        [("10.01", OrderStatus::Paid), ("10.02", OrderStatus::Cancelled), ("10.03", OrderStatus::Failed)]
    {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, status).await;
    }
    let (gateway, order, payment) =
        (stack.gateway.metrics().await, stack.order.metrics().await, stack.payment.metrics().await);
    for (text, series, expected) in [
        (&gateway, r#"http_requests_total{method="POST",route="/api/orders",status_code="202"}"#, "3"),
        (&order, "orders_created_total", "3"),
        (&order, "orders_completed_total", "1"),
        (&order, r#"orders_cancelled_total{reason="PAYMENT_DECLINED"}"#, "1"),
        (&order, "orders_failed_total", "1"),
        (&payment, "payments_approved_total", "1"),
        (&payment, "payments_declined_total", "1"),
        (&payment, "payments_failed_total", "1"),
        (&payment, "payments_refunded_total", "0"),
    ] {
        assert_eq!(value(text, series), Some(expected), "{series}: {text}");
    }
    let without = Stack::start().await;
    assert!(!without.order.metrics().await.contains("orders_created_total"));
}

#[tokio::test]
async fn orders_that_wait_are_measured_with_their_age_and_queues_with_their_length() {
    let mut stack = Stack::start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let measured = async |service: &ServiceProcess, series: &'static str, is_right: fn(f64) -> bool| {
        eventually(&format!("{series} is measured"), async || {
            let text = service.metrics().await;
            let found = value(&text, series).and_then(|value| value.parse().ok());
            if found.is_some_and(is_right) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    measured(&stack.order, "paysaga_orders_pending", |count| count > 0.0).await;
    measured(&stack.order, "paysaga_orders_pending_oldest_age_seconds", |age| age > 0.0).await;
    stack.amqp.publish(EventType::CreateOrderRequested, b"no JSON", BasicProperties::default()).await;
    stack.api.failed_messages_are(Queue::OrderCreate, 1).await;
    stack.payment.start_again().await;
    let empty = r#"paysaga_queue_messages{kind="ready",queue="payment.order-created.queue"}"#;
    measured(&stack.payment, empty, |count| count <= 0.0).await;
    measured(&stack.order, "paysaga_orders_pending", |count| count <= 0.0).await;
}

#[tokio::test]
async fn neither_orders_nor_what_strangers_send_makes_more_series() {
    let stack = Stack::start().await;
    let series = async || {
        let texts =
            [stack.gateway.metrics().await, stack.order.metrics().await, stack.payment.metrics().await];
        let named = |text: &String| -> Vec<String> {
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
        };
        texts.iter().map(named).collect::<Vec<_>>()
    };
    a_round(&stack, 0).await;
    // Gauges are measured now and then.
    let before = eventually("the gauges have been measured", async || {
        let before = series().await;
        let count = |name: &str| {
            let of_name =
                before.iter().flatten().filter(|series| series.starts_with(&format!("paysaga_{name}")));
            of_name.count()
        };
        let missing: Vec<_> = GAUGES.iter().filter(|(name, series)| count(name) < *series).collect();
        if missing.is_empty() { Ok(before) } else { Err(format!("not {missing:?}")) }
    })
    .await;
    for round in 1..10 {
        a_round(&stack, round).await;
    }
    let after = series().await;
    let known: BTreeSet<_> = before.iter().flatten().collect();
    // On a busy machine some are asked to come again.
    let refused = |series: &String| series.contains(r#"status_code="503""#);
    // What changed is compared half a minute later.
    let compared = |series: &String| series.contains(r#"route="/books"#);
    let grown = after.iter().flatten().filter(|series| !known.contains(series));
    let grown = grown.filter(|series| !refused(series) && !compared(series));
    let grown: Vec<_> = grown.collect();
    assert!(grown.is_empty(), "{grown:#?}");
    // `target_info` names the replica.
    let labels = after.iter().flatten().filter(|name| !name.starts_with("target_info"));
    let is_id = |label: &str| label.len() == 36 && label.matches('-').count() == 4;
    let ids: Vec<_> = labels.filter(|name| name.split('"').any(is_id)).collect();
    assert!(ids.is_empty(), "no label is an id: {ids:#?}");
    let counts: Vec<_> = after.iter().map(Vec::len).collect();
    assert!(counts.iter().all(|count| *count < 500), "{counts:?} series");
}

/// What is measured now and then, and how many series of it there are in all services.
const GAUGES: [(&str, usize); 10] = [
    ("books_", 4),
    ("outbox_depth", 2),
    ("failed_messages", Queue::VARIANTS.len()),
    ("queue_messages", 2 * Queue::VARIANTS.len()),
    ("rows_newer", 2),
    ("orders_pending", 2),
    ("orders_overdue", 1),
    ("payments_unknown", 1),
    ("refunds_refused", 1),
    ("refunds_oldest_age_seconds", 1),
];

/// Orders of each outcome, and what strangers may try: each time with other ids, paths, methods and bodies.
async fn a_round(stack: &Stack, number: u32) {
    for (cents, status) in
        [("01", OrderStatus::Paid), ("02", OrderStatus::Cancelled), ("03", OrderStatus::Failed)]
    {
        let id = stack.api.place(&format!("{}.{cents}", 10 + number)).await;
        stack.api.order_becomes(id, status).await;
        stack.api.timeline(id).await;
        stack.api.cancel(id).await;
    }
    stack.drain_every_queue().await;
    let method = Method::from_bytes(format!("BREW{number}").as_bytes()).expect("a token");
    for (method, path) in [(Method::GET, format!("/nothing/{number}")), (method, "/api/orders".to_owned())] {
        let request =
            stack.api.request(method, &path).header("x-correlation-id", format!("stranger-{number}"));
        assert!(request.send().await.expect("an answer").status().is_client_error());
    }
    assert_eq!(stack.api.get("/api/orders/no-id").await.status(), 400);
    let unknown = OrderId::new();
    for path in ["orders/{}", "orders/{}/events", "payments/order/{}"] {
        let path = format!("/api/{}", path.replace("{}", &unknown.to_string()));
        assert_eq!(stack.api.get(&path).await.status(), 404);
    }
    for body in [format!("poison {number}"), format!(r#"{{"eventType":"Kind{number}"}}"#)] {
        stack
            .amqp
            .publish(EventType::CreateOrderRequested, body.as_bytes(), BasicProperties::default())
            .await;
    }
    let poison = usize::try_from(2 * (number + 1)).expect("a count");
    stack.api.failed_messages_are(Queue::OrderCreate, poison).await;
}

/// The value of a series, whose labels are written in the order of their names.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    let name = series.split('{').next().unwrap_or(series);
    text.lines().find_map(|line| {
        let (found, value) = line.rsplit_once(' ')?;
        (found.starts_with(name) && sorted(found) == sorted(series)).then_some(value)
    })
}

/// Name and labels in an order of their own.
fn sorted(series: &str) -> BTreeSet<&str> {
    series.split(['{', ',', '}']).filter(|part| !part.is_empty()).collect()
}

fn lines_of(text: &str, series: &str) -> String {
    let name = series.split('{').next().unwrap_or(series);
    text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>().join("\n")
}
