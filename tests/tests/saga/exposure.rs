//! What traces, logs and metrics must not have in them: secrets, and who ordered what.

use contracts::topology::Queue;
use contracts::{EventType, OrderStatus, PaymentStatus};
use lapin::BasicProperties;
use tests::api::{USER, accepted, order};
use tests::api_keys::{KeyFile, OPERATOR};
use tests::otlp::Collector;
use tests::{Stack, eventually};

use super::tracing::{stop, traced};

/// In a body that is no event.
const CARD_NUMBER: &str = "4111 1111 1111 1111";

#[tokio::test]
async fn telemetry_has_no_secrets_and_no_personal_data() {
    let keys = KeyFile::of(&[OPERATOR]);
    let builder = Stack::with()
        .own_broker_users()
        .gateway_env("API_KEYS_FILE", keys.path())
        .env("RUST_LOG", "debug,hyper=off,sqlx=debug,lapin=off")
        .env("TRACE_STATEMENTS", "on")
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_LOGS_EXPORTER", "otlp");
    let (collector, mut stack) = traced(builder).await;
    stack.api = stack.api.with_key(OPERATOR);
    let body = format!(r#"{{"card":"{CARD_NUMBER}","userId":"{USER}"}}"#);
    stack.amqp.publish(EventType::CreateOrderRequested, body.as_bytes(), BasicProperties::default()).await;
    stack.api.failed_messages_are(Queue::OrderCreate, 1).await;
    let wrong = format!(r#"{{"userId":"{USER}","total":"{CARD_NUMBER}"}}"#);
    assert_eq!(stack.api.post(wrong).await.status(), 400);
    let placed = stack.api.post_order(order("10.01")).header("Idempotency-Key", "key-of-the-client");
    let id = accepted(placed.send().await.expect("an answer")).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.cancel(id).await;
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    stack.api.get(&format!("/api/orders?user={USER}")).await;

    let mut secrets = vec![
        keys.secret_of(OPERATOR),
        CARD_NUMBER.to_owned(),
        USER.to_owned(),
        "key-of-the-client".to_owned(),
    ];
    let services = [&stack.gateway, &stack.order, &stack.payment];
    for service in services {
        let named = ["DATABASE_URL", "RABBITMQ_URL"].into_iter();
        let urls = named.filter_map(|name| service.environment().get(name));
        secrets.extend(urls.map(|url| password_of(url)));
        secrets.extend(service.environment().get("SERVICE_TOKEN").cloned());
    }
    assert!(secrets.len() >= 12 && secrets.iter().all(|secret| secret.len() >= 16), "{secrets:?}");
    let mut told = Vec::new();
    for service in services {
        told.push(service.metrics().await);
        told.push(service.log());
    }
    stop(stack).await;
    told.push(collector.everything());
    // It is searched where there is something.
    assert!(
        told.iter().all(|text| text.len() > 1000),
        "{:?}",
        told.iter().map(String::len).collect::<Vec<_>>()
    );
    for secret in secrets {
        let found = told.iter().find_map(|text| {
            let at = text.find(&secret)?;
            Some(text[..at].chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect::<String>())
        });
        assert_eq!(found, None, "{secret} is found after this");
    }
}

#[tokio::test]
async fn metrics_and_logs_are_sent_where_that_is_asked_for() {
    let collector = Collector::start().await;
    let stack = Stack::with()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
        .env("OTEL_LOGS_EXPORTER", "otlp")
        .env("DRAIN_GRACE", "0ms")
        .start()
        .await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    for (signal, expected) in
        [("metrics", "paysaga.saga.duration"), ("logs", "order PAID"), ("logs", "payment APPROVED")]
    {
        eventually(&format!("{signal} have {expected}"), async || {
            let sent = collector.sent(signal);
            if sent.contains(expected) { Ok(()) } else { Err(format!("{} bytes", sent.len())) }
        })
        .await;
    }
}

fn password_of(url: &str) -> String {
    let credentials = url.split("://").nth(1).and_then(|rest| rest.split('@').next()).expect("it has a user");
    credentials.split_once(':').expect("it has a password").1.to_owned()
}
