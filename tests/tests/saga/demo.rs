//! The operator's command against a running stack.

use serde_json::Value;
use tests::Stack;

#[tokio::test]
async fn the_demo_follows_an_order_of_every_kind_to_its_end() {
    let stack = Stack::start().await;
    let demo = stack.paysaga(&["demo", "--json"]).await;
    assert_eq!(demo.code, Some(0), "{demo:?}");
    let report: Value = serde_json::from_str(&demo.stdout).expect("it prints JSON");
    let orders = report["orders"].as_array().expect("it lists orders");
    assert!(orders.len() >= 8, "{report:#}");
}
