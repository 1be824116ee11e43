//! Orders over HTTP: placed, read and cancelled.

use contracts::{OrderStatus, Timestamp};
use http::{Method, StatusCode};
use reqwest::Response;
use serde_json::{Value, json};
use tests::Stack;
use tests::api::{UNKNOWN_ID, USER, header, order, problem};
use tests::service::SERVICE_TOKEN;

#[tokio::test]
async fn an_order_is_placed_read_and_cancelled_by_the_contract() {
    let stack = Stack::start().await;
    let api = &stack.api;

    let response = api.post(order("999.99")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&response, "content-type"), "application/json");
    let location = header(&response, "location");
    let accepted: Value = response.json().await.expect("JSON");
    let id = accepted["orderId"].as_str().expect("an id");
    let message = "Order creation request accepted";
    assert_eq!(accepted, json!({"orderId": id, "message": message, "status": "PENDING_PAYMENT"}));
    assert_eq!(location, format!("/api/orders/{id}"));

    let order_id = id.parse().expect("a UUID");
    api.order_becomes(order_id, OrderStatus::Paid).await;
    let paid: Value = api.read(&location).await;
    let (created_at, updated_at) = (&paid["createdAt"], &paid["updatedAt"]);
    assert_eq!(
        paid,
        json!({"id": id, "userId": USER, "total": 999.99, "status": "PAID",
               "createdAt": created_at, "updatedAt": updated_at, "owner": "anonymous"})
    );
    assert!(time(created_at) < time(updated_at), "{paid}");

    let accepted = json!({"orderId": id, "message": "Order cancellation request accepted"});
    let by_status = api.patch(&location, r#"{"status":"CANCELLED"}"#).await;
    let cancel = || api.request(Method::PATCH, &format!("{location}/cancel"));
    for response in [
        by_status,
        cancel().send().await.expect("an answer"),
        cancel().header("content-type", "text/plain").body("ignored").send().await.expect("an answer"),
        cancel().json(&json!({"status": "PAID"})).send().await.expect("an answer"),
    ] {
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.json::<Value>().await.expect("JSON"), accepted);
    }
    api.order_becomes(order_id, OrderStatus::Cancelled).await;
    let cancelled: Value = api.read(&location).await;
    assert_eq!(cancelled["createdAt"], *created_at);
    assert_eq!(cancelled["cancelReason"], "USER_REQUESTED");
    assert!(time(updated_at) < time(&cancelled["updatedAt"]), "{cancelled}");
}

#[tokio::test]
async fn both_forms_of_a_cancellation_cancel() {
    let stack = Stack::start().await;
    let (one, other) = (stack.api.place("10.01").await, stack.api.place("10.01").await);
    for id in [one, other] {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    let response = stack.api.patch(&format!("/api/orders/{one}"), r#"{"status":"CANCELLED"}"#).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let response = stack.api.patch(&format!("/api/orders/{other}/cancel"), "").await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    for id in [one, other] {
        stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    }
}

#[tokio::test]
async fn the_services_answer_on_their_own_ports_what_the_gateway_answers() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let payment = stack.api.payment_of(id).await.expect("it is paid").id;
    let (order, payments) = (stack.order.url(), stack.payment.url());
    for (service, path) in [
        (&order, "/orders".to_owned()),
        (&order, "/orders?page=2&limit=1".to_owned()),
        (&order, format!("/orders/{id}")),
        (&order, format!("/orders/{id}/events")),
        (&payments, "/payments".to_owned()),
        (&payments, "/payments/stats".to_owned()),
        (&payments, format!("/payments/{payment}")),
        (&payments, format!("/payments/order/{id}")),
    ] {
        let direct = ask(&format!("{service}{path}"), SERVICE_TOKEN).await;
        assert_eq!(direct.status(), StatusCode::OK, "{path}");
        let direct = direct.text().await.expect("a body");
        assert_eq!(direct, stack.api.text(&format!("/api{path}")).await, "{path}");
    }
    for (service, path, status) in [
        (&order, format!("/orders/{UNKNOWN_ID}"), 404),
        (&order, "/orders/7".to_owned(), 400),
        (&order, "/payments".to_owned(), 404),
        (&payments, format!("/payments/{UNKNOWN_ID}"), 404),
        (&payments, format!("/payments/order/{UNKNOWN_ID}"), 404),
        (&payments, "/payments/7".to_owned(), 400),
    ] {
        let response = ask(&format!("{service}{path}"), SERVICE_TOKEN).await;
        assert_eq!(problem(response).await.status, status, "{path}");
    }
}

/// Asks as the gateway does.
async fn ask(url: &str, token: &str) -> Response {
    reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("the service answers")
}

/// A time as the wire writes it: RFC 3339, UTC, milliseconds, `Z`.
fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time is text");
    let time: Timestamp = text.parse().expect("RFC 3339");
    assert_eq!((time.to_string(), text.len()), (text.to_owned(), "2026-01-02T03:04:05.678Z".len()));
    time
}
