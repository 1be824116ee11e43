//! `paysaga order`: one order, step by step.

use contracts::{EventType, OrderId, OrderStatus, PaymentId, PaymentStatus};
use serde_json::{Value, json};
use tests::Stack;
use tests::api::UNKNOWN_ID;
use tests::api_keys::{APP, Key, KeyFile, OPERATOR, SHOP};
use tests::stack::CommandOutput;

async fn shown(stack: &Stack, id: OrderId) -> Value {
    let ran = stack.paysaga(&["order", &id.to_string(), "--json"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).expect("it prints JSON")
}

fn of_events<'a>(shown: &'a Value, member: &str) -> Vec<&'a Value> {
    shown["events"].as_array().expect("there are events").iter().map(|event| &event[member]).collect()
}

#[tokio::test]
async fn an_order_is_shown_with_its_payment_its_refund_and_every_step() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.cancel(id).await;
    stack.api.timeline_has(id, EventType::PaymentRefunded).await;

    let saga = shown(&stack, id).await;
    assert_eq!(saga["order"]["id"], json!(id));
    assert_eq!((&saga["order"]["status"], &saga["order"]["total"]), (&json!("CANCELLED"), &json!(10.01)));
    assert_eq!(saga["order"]["cancelReason"], "USER_REQUESTED");
    assert_eq!((&saga["payment"]["status"], &saga["payment"]["attempts"]), (&json!("REFUNDED"), &json!(2)));
    assert_eq!(saga["refund"]["refund"]["status"], "DONE");
    assert_eq!(saga["waiting"], Value::Null);
    let services = ["gateway", "order", "payment", "gateway", "order", "payment"];
    assert_eq!(of_events(&saga, "service"), services);
    let gaps = of_events(&saga, "gapMs");
    assert!(gaps[0].is_null() && gaps[1..].iter().all(|gap| gap.is_i64()), "{gaps:?}");
    let longest = of_events(&saga, "isLongestWait");
    assert_eq!(longest.iter().filter(|it| it.as_bool() == Some(true)).count(), 1, "{saga:#}");
    assert_eq!(longest[3], false, "until the customer cancels is the customer's time");

    let ran = stack.paysaga(&["order", &id.to_string(), "--jaeger", "http://127.0.0.1:1/jaeger/"]).await;
    assert_eq!(ran.code, Some(0), "without Jaeger there is the rest: {ran:?}");
    for expected in [
        "CANCELLED (USER_REQUESTED) since 2",
        "REFUNDED since 2",
        "transaction   sim_",
        "refund        DONE",
        "payment   PaymentRefunded",
        "← the longest wait",
        "http://127.0.0.1:1/jaeger/search?service=order&tags=%7B%22order.id%22%3A%22",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("http://127.0.0.1:1/jaeger does not answer"), "{}", ran.stderr);
}

#[tokio::test]
async fn what_an_order_still_waits_for_is_shown() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.05").await;
    stack.api.payment_becomes(id, PaymentStatus::Processing).await;
    stack.api.timeline_has(id, EventType::OrderCreated).await;
    let saga = shown(&stack, id).await;
    assert_eq!(saga["waiting"]["for"], "the payment provider", "{saga:#}");
    let ran = stack.paysaga(&["order", &id.to_string()]).await;
    assert!(ran.stdout.contains("waits for the payment provider"), "{}", ran.stdout);
    assert!(ran.stdout.contains("PROCESSING since"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_cancellation_without_its_order_is_shown() {
    let stack = Stack::start().await;
    let id: OrderId = UNKNOWN_ID.parse().expect("a UUID");
    stack.api.cancel(id).await;
    stack.api.timeline_has(id, EventType::OrderCancelRequested).await;
    let saga = shown(&stack, id).await;
    assert_eq!(saga["order"], Value::Null);
    assert_eq!(of_events(&saga, "eventType"), ["OrderCancelRequested"]);
    let ran = stack.paysaga(&["order", UNKNOWN_ID]).await;
    assert!(ran.stdout.contains("its cancellation came first"), "{}", ran.stdout);
}

#[tokio::test]
async fn an_id_that_is_no_orders_is_refused_with_what_would_be_right() {
    let stack = Stack::start().await;
    let malformed = stack.paysaga(&["order", "17"]).await;
    assert_eq!(malformed.code, Some(2));
    assert!(malformed.stderr.contains("an order's id is a UUID, such as"), "{malformed:?}");
    let unknown = stack.paysaga(&["order", UNKNOWN_ID]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains(&format!("there is no order {UNKNOWN_ID}")), "{unknown:?}");
    assert!(unknown.stdout.is_empty());

    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let payment = stack.paysaga(&["order", &PaymentId::of_order(id).to_string()]).await;
    assert_eq!(payment.code, Some(1));
    assert!(payment.stderr.contains(&format!("paysaga order {id}")), "{payment:?}");
}

#[tokio::test]
async fn a_clients_key_shows_its_own_orders_and_no_refund() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let shop = stack.api.with_key(SHOP);
    let id = shop.place("10.01").await;
    shop.order_becomes(id, OrderStatus::Paid).await;
    shop.cancel(id).await;
    shop.timeline_has(id, EventType::PaymentRefunded).await;

    let own = with_key(&stack, SHOP, id).await;
    assert_eq!(own.code, Some(0), "{own:?}");
    assert!(own.stdout.contains("REFUNDED") && !own.stdout.contains("refund   "), "{own:?}");
    let operators = with_key(&stack, OPERATOR, id).await;
    assert!(operators.stdout.contains("refund        DONE"), "{operators:?}");
    let others = with_key(&stack, APP, id).await;
    assert_eq!(others.code, Some(1));
    assert!(others.stderr.contains("there is no order"), "{others:?}");
    let without = stack.paysaga(&["order", &id.to_string()]).await;
    assert_eq!(without.code, Some(1));
    assert!(without.stderr.contains("--api-key-file"), "{without:?}");
}

async fn with_key(stack: &Stack, key: Key, id: OrderId) -> CommandOutput {
    let file = tempfile::NamedTempFile::new().expect("there is room");
    std::fs::write(&file, key.secret).expect("it can be written");
    let path = file.path().to_str().expect("it is text");
    stack.paysaga(&["order", &id.to_string(), "--api-key-file", path]).await
}
