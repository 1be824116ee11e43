//! `Idempotency-Key` and `Prefer: wait`.

use contracts::order::CreateOrderAccepted;
use contracts::{OrderId, OrderStatus};
use futures_util::future::join_all;
use http::{HeaderValue, StatusCode};
use reqwest::Response;
use serde_json::{Value, json};
use tests::Stack;
use tests::api::{IdempotencyKey, USER, accepted, header, order, problem, refused};
use tests::call::Call;

#[tokio::test]
async fn a_key_and_a_body_are_one_order_however_often_they_are_sent() {
    let mut stack = Stack::start().await;
    let first = sent(stack.api.post_keyed(IdempotencyKey("k-1"), "10.50")).await;
    stack.api.order_becomes(first, OrderStatus::Paid).await;
    // The same key quoted, and the same order written otherwise.
    assert_eq!(sent(stack.api.post_keyed(IdempotencyKey("\"k-1\""), "10.50")).await, first);
    let body = format!(r#" {{ "total" : 1.05e1, "userId" : "{}" }} "#, USER.to_uppercase());
    let again = stack.api.post_order(body).header("idempotency-key", "k-1");
    assert_eq!(sent(again).await, first);

    let at_once =
        join_all((0..20).map(|_| sent(stack.api.post_keyed(IdempotencyKey("k-20"), "10.01")))).await;
    assert_eq!(at_once, [at_once[0]; 20]);
    stack.api.order_becomes(at_once[0], OrderStatus::Paid).await;
    assert_ne!(at_once[0], first);
    // Without a key every request is an order of its own.
    let (one, other) = (stack.api.place("10.50").await, stack.api.place("10.50").await);
    assert_ne!(one, other);

    // Indefinitely: keys are stored, so a restart of every service keeps them.
    stack.order.stop().await;
    stack.payment.stop().await;
    stack.gateway.stop().await;
    stack.order.start_again().await;
    stack.payment.start_again().await;
    stack.gateway.start_again().await;
    assert_eq!(sent(stack.api.post_keyed(IdempotencyKey("k-1"), "10.5")).await, first);

    stack.drain_every_queue().await;
    let orders: Value = stack.api.read("/api/orders").await;
    assert_eq!(orders["meta"]["total"], 5, "two with keys, two without, and the probe");
    assert_eq!(stack.charge_count().await, 5);
}

#[tokio::test]
async fn a_key_is_bound_to_its_first_body() {
    let stack = Stack::start().await;
    let first = sent(stack.api.post_keyed(IdempotencyKey("k-1"), "10.01")).await;
    let other_user = order("10.01").replace(USER, "00000000-0000-4000-8000-000000000000");
    for request in [
        stack.api.post_keyed(IdempotencyKey("k-1"), "10.02"),
        stack.api.post_order(other_user).header("idempotency-key", "k-1"),
    ] {
        let response = request.send().await.expect("an answer");
        assert_eq!(problem(response).await.status, 422);
    }

    // Twenty different orders under one key at once: one of them gets it.
    let race =
        (1..=20).map(|number| stack.api.post_keyed(IdempotencyKey("k-race"), &format!("{number}.01")).send());
    let responses: Vec<Response> =
        join_all(race).await.into_iter().map(|response| response.expect("an answer")).collect();
    let (winners, losers): (Vec<_>, Vec<_>) =
        responses.into_iter().partition(|response| response.status() == StatusCode::ACCEPTED);
    assert_eq!(winners.len(), 1);
    for loser in losers {
        assert_eq!(problem(loser).await.status, 422);
    }

    stack.drain_every_queue().await;
    stack.api.order_becomes(first, OrderStatus::Paid).await;
    let orders: Value = stack.api.read("/api/orders").await;
    assert_eq!(orders["meta"]["total"], 3, "one for each key, and the probe");
}

#[tokio::test]
async fn an_invalid_key_is_refused_by_name() {
    let stack = Stack::start().await;
    let keys = [
        HeaderValue::from_static(""),
        HeaderValue::from_static("\"\""),
        HeaderValue::from_static("\"open"),
        HeaderValue::from_static("in\"side"),
        HeaderValue::from_static("tab\tinside"),
        HeaderValue::from_str(&"k".repeat(256)).expect("a header"),
        HeaderValue::from_bytes("schlüssel".as_bytes()).expect("a header"),
    ];
    for key in keys {
        let request = stack.api.post_order(order("10.01")).header("idempotency-key", &key);
        let response = request.send().await.expect("an answer");
        let context = format!("{key:?}");
        assert_eq!(
            refused(response, StatusCode::BAD_REQUEST, &context).await,
            ["Idempotency-Key"],
            "{context}"
        );
    }
    // Everything that is wrong is named at once.
    let response = stack.api.post_keyed(IdempotencyKey(""), "0").send().await.expect("an answer");
    assert_eq!(refused(response, StatusCode::BAD_REQUEST, "both").await, ["Idempotency-Key", "total"]);
    sent(stack.api.post_keyed(IdempotencyKey(&"k".repeat(255)), "10.01")).await;
    sent(stack.api.post_keyed(IdempotencyKey("with spaces"), "10.01")).await;
}

#[tokio::test]
async fn a_client_that_waits_gets_the_outcome_or_202() {
    let stack = Stack::start().await;
    for (total, status) in [("10.01", "PAID"), ("10.02", "CANCELLED"), ("10.03", "FAILED")] {
        let request = stack.api.post_order(order(total)).header("prefer", "respond-async, wait=30");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert!(header(&response, "preference-applied").starts_with("wait"));
        let location = header(&response, "location");
        let placed: Value = response.json().await.expect("JSON");
        assert_eq!((&placed["status"], &placed["userId"]), (&json!(status), &json!(USER)));
        assert_eq!(location, format!("/api/orders/{}", placed["id"].as_str().expect("an id")));
        assert_eq!(placed, stack.api.read::<Value>(&location).await);
    }

    let held = stack.block_provider().await;
    for prefer in ["wait=1", "wait=0", "wait", "wait=soon", "return=minimal"] {
        let response = stack.api.post_order(order("10.01")).header("prefer", prefer).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{prefer}");
        assert!(!response.headers().contains_key("preference-applied"), "{prefer}");
        let accepted: CreateOrderAccepted = response.json().await.expect("the usual answer");
        assert_eq!(accepted.status, OrderStatus::PendingPayment);
    }
    // A waiting client that sends its request again waits for the same order.
    let waiting = || stack.api.post_keyed(IdempotencyKey("k-1"), "10.01").header("prefer", "wait=30").send();
    let (one, other, ()) = tokio::join!(waiting(), waiting(), held.release());
    let (one, other) = (one.expect("an answer"), other.expect("an answer"));
    assert_eq!((one.status(), other.status()), (StatusCode::OK, StatusCode::OK));
    let (one, other): (Value, Value) = (one.json().await.expect("JSON"), other.json().await.expect("JSON"));
    assert_eq!(one, other);
}

/// The order that a request places, which must be accepted.
async fn sent(request: Call) -> OrderId {
    accepted(request.send().await.expect("an answer")).await
}
