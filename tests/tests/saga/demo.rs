//! The operator's command against a running stack.

use serde_json::Value;
use tests::Stack;

use super::tracing::{stop, traced_stack};

#[tokio::test]
async fn the_demo_follows_an_order_of_every_kind_to_its_end() {
    let stack = Stack::start().await;
    let demo = stack.paysaga(&["demo", "--json"]).await;
    assert_eq!(demo.code, Some(0), "{demo:?}");
    let report: Value = serde_json::from_str(&demo.stdout).expect("it prints JSON");
    let orders = report["orders"].as_array().expect("it lists orders");
    assert!(orders.len() >= 8, "{report:#}");
}

#[tokio::test]
async fn what_the_demo_reads_again_and_again_is_in_no_trace() {
    let (collector, stack) = traced_stack().await;
    let demo = stack.paysaga(&["demo", "--json"]).await;
    assert_eq!(demo.code, Some(0), "{demo:?}");
    stop(stack).await;
    let report: Value = serde_json::from_str(&demo.stdout).expect("it prints JSON");
    for order in report["orders"].as_array().expect("it lists orders") {
        let spans = collector.trace(order["traceId"].as_str().expect("it has a trace"));
        assert!(spans.iter().any(|span| span.name == "POST /api/orders"), "{order}: {spans:?}");
    }
    let read: Vec<_> = collector.spans().into_iter().filter(|span| span.name.starts_with("GET ")).collect();
    assert!(read.is_empty(), "{read:?}");
}
