//! What traces, logs and metrics must not have in them: secrets, and who ordered what.

use contracts::topology::Queue;
use contracts::{EventType, OrderStatus, PaymentStatus};
use http::Method;
use lapin::BasicProperties;
use tests::api::{USER, accepted, order};
use tests::api_keys::{KeyFile, OPERATOR};
use tests::otlp::Collector;
use tests::service::ServiceProcess;
use tests::{Stack, eventually};

use super::tracing::traced;

/// In bodies that are no events.
const CARD_NUMBER: &str = "4111 1111 1111 1111";

/// An event, but for its payload.
const EVENT: &str = r#"{"eventType":"OrderCancelRequested","eventId":"0f7c3b1e-52f8-4a3f-9d39-2f4f3d2d4b11","occurredAt":"2026-01-01T00:00:00.000Z","payload":{"orderId":"PAYLOAD"}}"#;

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
    // Each with another reason for which an error would quote it.
    let bodies = [
        format!(r#"{{"card":"{CARD_NUMBER}","userId":"{USER}"}}"#),
        format!(r#""{CARD_NUMBER}""#),
        EVENT.replace("OrderCancelRequested", CARD_NUMBER),
        EVENT.replace("2026-01-01T00:00:00.000Z", CARD_NUMBER),
        EVENT.replace("PAYLOAD", CARD_NUMBER),
        EVENT.replace(r#""eventId""#, &format!(r#""eventId":"{CARD_NUMBER}","other""#)),
    ];
    for body in &bodies {
        let properties = BasicProperties::default();
        stack.amqp.publish(EventType::OrderCancelRequested, body.as_bytes(), properties).await;
    }
    let failed = stack.api.failed_messages_are(Queue::OrderCancelRequested, bodies.len()).await;
    // The operator who decides about them is told all of it.
    assert!(failed.iter().any(|failed| failed.reason.contains(CARD_NUMBER)), "{failed:#?}");
    for failed in failed {
        let replay = format!("/api/admin/order/failed-messages/{}/replay", failed.id);
        let replayed = stack.api.request(Method::POST, &replay).send().await.expect("an answer");
        assert!(replayed.status().is_success(), "{replayed:?}");
    }
    eventually("they failed again", async || {
        let again = stack.order.log().matches("failed message failed again").count();
        if again == bodies.len() { Ok(()) } else { Err(again.to_string()) }
    })
    .await;
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
    }
    let (gateway, order, payment) =
        tokio::join!(stack.gateway.stop(), stack.order.stop(), stack.payment.stop());
    assert!(gateway.success() && order.success() && payment.success());
    told.extend([&stack.gateway, &stack.order, &stack.payment].map(ServiceProcess::log));
    told.extend([format!("{:?}", collector.spans()), collector.sent("metrics"), collector.sent("logs")]);
    // It is searched where there is something.
    let lengths: Vec<_> = told.iter().map(String::len).collect();
    assert!(told.len() == 9 && lengths.iter().all(|length| *length > 1000), "{lengths:?}");
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
        [("metrics", "paysaga.saga.duration"), ("logs", "order PAID"), ("logs", &*id.to_string())]
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
