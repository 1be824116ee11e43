//! packaging/prometheus/alerts.yaml: what it asks for is there, and each alert is explained.

use std::collections::BTreeSet;

use contracts::OrderStatus;
use tests::{Stack, eventually};

const ALERTS: &str = include_str!("../../../packaging/prometheus/alerts.yaml");
const RUNBOOK: &str = include_str!("../../../docs/RUNBOOK.md");

#[tokio::test]
async fn every_metric_of_an_alert_and_of_the_runbook_exists() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let named = metrics_in(ALERTS).union(&metrics_in(RUNBOOK)).cloned().collect::<BTreeSet<_>>();
    assert!(named.len() >= 12, "{named:?}");
    // Seen only when something has failed; tests/tests/saga/business_metrics.rs makes that happen for its like.
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

/// The names of metrics of ours, and of the HTTP conventions, in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'));
    let is_metric = |word: &&str| {
        (word.starts_with("paysaga_") || word.starts_with("http_server_")) && !word.ends_with('_')
    };
    // A histogram's name stands for its series.
    let series = |word: &str| match word {
        "paysaga_provider_duration_seconds" => format!("{word}_count"),
        _ => word.to_owned(),
    };
    words.filter(is_metric).map(series).collect()
}
