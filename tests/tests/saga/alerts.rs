//! packaging/prometheus/alerts.yaml and packaging/grafana: what they ask for is there, and each alert is explained.

use std::collections::BTreeSet;

use contracts::topology::Queue;
use contracts::{EventType, OrderStatus};
use lapin::BasicProperties;
use serde_json::Value;
use tests::{Stack, eventually};

const ALERTS: &str = include_str!("../../../packaging/prometheus/alerts.yaml");
const RUNBOOK: &str = include_str!("../../../docs/RUNBOOK.md");
const DASHBOARDS: [&str; 4] = [
    include_str!("../../../packaging/grafana/saga-overview.json"),
    include_str!("../../../packaging/grafana/service.json"),
    include_str!("../../../packaging/grafana/broker-and-outbox.json"),
    include_str!("../../../packaging/grafana/money.json"),
];

#[tokio::test]
async fn every_metric_of_a_panel_of_an_alert_and_of_the_runbook_exists() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    // Some exist once something has failed.
    stack.amqp.publish(EventType::CreateOrderRequested, b"no JSON", BasicProperties::default()).await;
    let failed = stack.api.failed_messages_are(Queue::OrderCreate, 1).await.remove(0);
    let replayed = stack.paysaga(&["failed", "replay", &failed.id.to_string()]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");

    let texts = DASHBOARDS.map(expressions).concat();
    assert!(texts.len() >= 50, "{texts:?}");
    let texts = texts.iter().map(String::as_str).chain([ALERTS, RUNBOOK]);
    let named: BTreeSet<_> = texts.flat_map(metrics_in).collect();
    assert!(named.len() >= 30, "{named:?}");
    // tests/tests/saga/trace_waits.rs has a transaction that is tried again.
    let after_a_failure = ["paysaga_transaction_retries_total"];
    for metric in named.iter().filter(|metric| !after_a_failure.contains(&metric.as_str())) {
        eventually(&format!("{metric} exists"), async || {
            for service in [&stack.gateway, &stack.order, &stack.payment] {
                let text = service.metrics().await;
                if text.lines().any(|line| line.split(['{', ' ']).next() == Some(metric)) {
                    return Ok(());
                }
            }
            Err("no service has it")
        })
        .await;
    }
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_names_it() {
    let alerts: Vec<_> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let sections: Vec<_> = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alerts, sections, "in the same order");
    for alert in alerts {
        let url = format!("runbook_url: docs/RUNBOOK.md#{}", alert.to_lowercase());
        assert_eq!(ALERTS.lines().filter(|line| line.trim() == url).count(), 1, "{url}");
    }
    for part in ["**It means**", "**Look at**", "**Do**"] {
        assert_eq!(RUNBOOK.matches(part).count(), sections.len(), "{part}");
    }
}

/// What the panels of a dashboard ask Prometheus for, without what they ask about RabbitMQ.
fn expressions(dashboard: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(dashboard).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.filter_map(|target| Some(target["expr"].as_str()?.to_owned())).collect()
}

/// The names of metrics of the services in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    const FAMILIES: [&str; 5] = ["paysaga_", "http_server_", "messaging_", "db_client_", "process_"];
    const LABELS: [&str; 2] = ["messaging_destination_name", "db_client_connection_pool_name"];
    let words = text.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
    let is_metric = |word: &&str| {
        let of_a_service = FAMILIES.iter().any(|family| word.starts_with(family));
        of_a_service && !word.ends_with('_') && !LABELS.contains(word)
    };
    // A histogram's name stands for its series.
    let series = |word: &str| match word {
        "paysaga_provider_duration_seconds" => format!("{word}_count"),
        _ => word.to_owned(),
    };
    words.filter(is_metric).map(series).collect()
}
