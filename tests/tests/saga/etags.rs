//! Answers that a client has already are not sent again.

use contracts::{OrderId, OrderStatus, PaymentStatus};
use http::{Method, StatusCode, header};
use reqwest::Response;
use tests::Stack;
use tests::api_keys::{APP, KeyFile, SHOP};

async fn ask(stack: &Stack, path: &str, if_none_match: &str) -> Response {
    let request = stack.api.request(Method::GET, path).header(header::IF_NONE_MATCH, if_none_match);
    request.send().await.expect("the gateway answers")
}

async fn tag(stack: &Stack, path: &str) -> String {
    let answer = stack.api.get(path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let header = |name| answer.headers().get(name).map(|value| value.to_str().expect("it is text"));
    assert_eq!(header(header::CACHE_CONTROL), Some("private, no-cache"), "{path}");
    assert_eq!(header(header::VARY), Some("authorization"), "{path}");
    header(header::ETAG).unwrap_or_else(|| panic!("{path} has no ETag")).to_owned()
}

/// Everything that is answered with a tag, about this order.
async fn paths(stack: &Stack, order: OrderId) -> Vec<String> {
    let payment = stack.api.payment_of(order).await.expect("it has a payment").id;
    vec![
        format!("/api/orders/{order}"),
        format!("/api/payments/{payment}"),
        format!("/api/payments/order/{order}"),
        "/api/payments/stats".to_owned(),
        "/api/orders".to_owned(),
        "/api/orders?page=1&limit=3".to_owned(),
        "/api/orders?createdFrom=2026-01-02T03:04:05Z&sort=oldest".to_owned(),
        "/api/payments".to_owned(),
    ]
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again_until_it_changes() {
    let stack = Stack::with().env("PROVIDER_APPROVAL_RATE", "1").start().await;
    let order = stack.api.place("10.01").await;
    stack.api.payment_becomes(order, PaymentStatus::Approved).await;
    stack.api.order_becomes(order, OrderStatus::Paid).await;
    let mut seen = Vec::new();
    for path in paths(&stack, order).await {
        let tag = tag(&stack, &path).await;
        for value in [tag.clone(), format!("W/{tag}"), format!("\"another\", {tag}"), "*".to_owned()] {
            let answer = ask(&stack, &path, &value).await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{path} {value}");
            assert_eq!(answer.headers()[header::ETAG], *tag, "{path}");
            assert!(answer.headers().contains_key("x-correlation-id"), "{path}");
            assert_eq!(answer.bytes().await.expect("an answer without content"), "", "{path}");
        }
        assert_eq!(ask(&stack, &path, "\"another\"").await.status(), StatusCode::OK, "{path}");
        seen.push((path, tag));
    }
    stack.api.cancel(order).await;
    stack.api.order_becomes(order, OrderStatus::Cancelled).await;
    stack.api.payment_becomes(order, PaymentStatus::Refunded).await;
    for (path, tag) in seen {
        assert_eq!(ask(&stack, &path, &tag).await.status(), StatusCode::OK, "{path} has changed");
    }
}

#[tokio::test]
async fn what_does_not_exist_and_what_comes_later_has_no_tag() {
    let stack = Stack::start().await;
    let orders = [stack.api.place("10.01").await, stack.api.place("10.01").await];
    for order in orders {
        stack.api.payment_becomes(order, PaymentStatus::Approved).await;
    }
    let missing = format!("/api/orders/{}", tests::api::UNKNOWN_ID);
    assert_eq!(ask(&stack, &missing, "*").await.status(), StatusCode::NOT_FOUND);
    let second = "/api/orders?page=2&limit=1";
    let answer = ask(&stack, second, "*").await;
    assert_eq!((answer.status(), answer.headers().get(header::ETAG)), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_tag_opens_nothing_to_a_client_that_may_not_see_it() {
    let keys = KeyFile::of(&[SHOP, APP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let [shop, app] = [SHOP, APP].map(|key| stack.api.with_key(key));
    let order = shop.place("10.01").await;
    shop.payment_becomes(order, PaymentStatus::Approved).await;
    for path in [format!("/api/orders/{order}"), format!("/api/payments/order/{order}")] {
        let request = app.request(Method::GET, &path).header(header::IF_NONE_MATCH, "*");
        let answer = request.send().await.expect("the gateway answers");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
