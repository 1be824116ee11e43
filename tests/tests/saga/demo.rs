//! The operator's command against a running stack.

use serde_json::Value;
use tests::Stack;
use tests::service::{Environment, Service};

#[tokio::test]
async fn the_demo_follows_an_order_of_every_kind_to_its_end() {
    let stack = Stack::start().await;
    let gateway = stack.gateway.url();
    let demo = Service::run("paysaga", &["demo", "--json", "--gateway", &gateway], &Environment::new()).await;
    assert!(demo.status.success(), "{demo:?}");
    let report: Value = serde_json::from_slice(&demo.stdout).expect("it prints JSON");
    let orders = report["orders"].as_array().expect("it lists orders");
    assert!(orders.len() >= 8, "{report:#}");
}
