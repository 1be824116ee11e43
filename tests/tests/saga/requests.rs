//! Requests that are refused, and how.

use std::fmt::Write;

use contracts::OrderStatus;
use http::{Method, StatusCode};
use tests::Stack;
use tests::api::{UNKNOWN_ID, USER, header, order, problem, refused};
use tests::raw_http::exchange;

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

#[tokio::test]
async fn a_wrong_body_is_refused_and_every_wrong_member_is_named() {
    let stack = Stack::start().await;
    let cases: &[(&str, &[&str])] = &[
        ("", &[""]),
        ("{", &[""]),
        ("[]", &[""]),
        ("null", &[""]),
        ("7", &[""]),
        ("\"order\"", &[""]),
        ("{\"total\":1,}", &[""]),
        (r#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":1} {}"#, &[""]),
        ("{}", &["total", "userId"]),
        (r#"{"total":1}"#, &["userId"]),
        (r#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#, &["total"]),
        (r#"{"userId":"me","total":"12","status":"PAID","x":null}"#, &["status", "total", "userId", "x"]),
        (r#"{"userId":7,"total":1}"#, &["userId"]),
        (r#"{"userId":null,"total":null}"#, &["total", "userId"]),
        (r#"{"userId":{},"total":[1]}"#, &["total", "userId"]),
        (r#"{"userId":"","total":true}"#, &["total", "userId"]),
        (r#"{"userid":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":1}"#, &["userId", "userid"]),
        // A client can't choose the id.
        (
            r#"{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":1,"orderId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#,
            &["orderId"],
        ),
    ];
    for (body, members) in cases {
        let response = stack.api.post((*body).to_owned()).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, body).await, *members, "{body}");
    }
    for body in [b"\xff\xfe{}".to_vec(), vec![b'['; 60_000]] {
        let response = stack.api.post(body).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, "bytes").await, [""]);
    }
    nothing_was_placed(&stack).await;
}

#[tokio::test]
async fn a_wrong_change_of_an_order_is_refused_and_changes_nothing() {
    let stack = Stack::start().await;
    let path = format!("/api/orders/{UNKNOWN_ID}");
    let cases: &[(&str, &[&str])] = &[
        ("", &[""]),
        ("[]", &[""]),
        ("{}", &["status"]),
        (r#"{"status":"PAID"}"#, &["status"]),
        (r#"{"status":"cancelled"}"#, &["status"]),
        (r#"{"status":null}"#, &["status"]),
        (r#"{"status":"CANCELLED","total":1}"#, &["total"]),
    ];
    for (body, members) in cases {
        let response = stack.api.patch(&path, (*body).to_owned()).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, body).await, *members, "{body}");
    }
    let response = stack.api.patch("/api/orders/7", r#"{"status":"PAID"}"#).await;
    assert_eq!(refused(response, StatusCode::BAD_REQUEST, "id and status").await, ["id", "status"]);
    let response = stack.api.patch("/api/orders/7", r#"{"status":"CANCELLED"}"#).await;
    assert_eq!(refused(response, StatusCode::BAD_REQUEST, "id").await, ["id"]);
    let response = stack.api.patch("/api/orders/7/cancel", "").await;
    assert_eq!(refused(response, StatusCode::BAD_REQUEST, "id").await, ["id"]);
    nothing_was_placed(&stack).await;
}

#[tokio::test]
async fn a_malformed_id_gets_400_and_an_unknown_one_404() {
    let stack = Stack::start().await;
    for (path, member) in [
        ("/api/orders/{}", "id"),
        ("/api/orders/{}/events", "id"),
        ("/api/payments/{}", "id"),
        ("/api/payments/order/{}", "orderId"),
    ] {
        let response = stack.api.get(&path.replace("{}", UNKNOWN_ID)).await;
        assert_eq!(problem(response).await.status, 404, "{path}");
        for id in ["7", "not-a-uuid", "%20", "%00", "..%2f..", &UNKNOWN_ID[1..], &format!("{UNKNOWN_ID}0")] {
            let path = path.replace("{}", id);
            let response = stack.api.get(&path).await;
            assert_eq!(refused(response, StatusCode::BAD_REQUEST, &path).await, [member], "{path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_declared_json_or_is_too_large_is_refused() {
    let stack = Stack::start().await;
    for (method, path) in
        [(Method::POST, "/api/orders"), (Method::PATCH, &format!("/api/orders/{UNKNOWN_ID}"))]
    {
        let request = || stack.api.request(method.clone(), path).body(order("1"));
        let response = request().send().await.expect("an answer");
        assert_eq!(problem(response).await.status, 415, "{method} without a type");
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""] {
            let response = request().header("content-type", wrong).send().await.expect("an answer");
            assert_eq!(problem(response).await.status, 415, "{method} {wrong}");
        }
        for size in [MAX_BODY + 1, 1024 * 1024] {
            let request = stack.api.request(method.clone(), path).header("content-type", "application/json");
            let response = request.body(padded(size)).send().await.expect("an answer");
            assert_eq!(problem(response).await.status, 413, "{method} {size} bytes");
        }
        let answer = exchange(stack.gateway.address(), &chunked(&method, path, 1024 * 1024)).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{method}: {answer}");
        assert!(answer.contains("application/problem+json"), "{method}: {answer}");
    }
    nothing_was_placed(&stack).await;

    assert_eq!(stack.api.post(padded(MAX_BODY)).await.status(), StatusCode::ACCEPTED);
    for right in ["application/json; charset=utf-8", "Application/JSON"] {
        let request = stack.api.request(Method::POST, "/api/orders").header("content-type", right);
        let response = request.body(order("1")).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{right}");
    }
    let answer = exchange(stack.gateway.address(), &chunked(&Method::POST, "/api/orders", 100)).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_the_right_ones() {
    let stack = Stack::start().await;
    for path in [
        "/",
        "/api",
        "/api/",
        "/orders",
        "/api/order",
        "/api/orders//7",
        &format!("/api/orders/{UNKNOWN_ID}/refund"),
        &format!("/api/orders/{UNKNOWN_ID}/cancel/now"),
        &format!("/api/payments/order/{UNKNOWN_ID}/x"),
        // Health and metrics are not for clients.
        "/health/live",
        "/health/ready",
        "/metrics",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let response = stack.api.request(method.clone(), path).send().await.expect("an answer");
            assert_eq!(problem(response).await.status, 404, "{method} {path}");
        }
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/api/orders", &["GET", "POST"][..]),
        (Method::PUT, "/api/orders", &["GET", "POST"]),
        (Method::POST, &format!("/api/orders/{UNKNOWN_ID}"), &["GET", "PATCH"]),
        (Method::DELETE, &format!("/api/orders/{UNKNOWN_ID}"), &["GET", "PATCH"]),
        (Method::POST, &format!("/api/orders/{UNKNOWN_ID}/cancel"), &["PATCH"]),
        (Method::GET, &format!("/api/orders/{UNKNOWN_ID}/cancel"), &["PATCH"]),
        (Method::POST, &format!("/api/orders/{UNKNOWN_ID}/events"), &["GET"]),
        (Method::POST, "/api/payments", &["GET"]),
        (Method::DELETE, &format!("/api/payments/{UNKNOWN_ID}"), &["GET"]),
        (Method::PUT, &format!("/api/payments/order/{UNKNOWN_ID}"), &["GET"]),
        (Method::POST, "/api/metrics", &["GET"]),
        (Method::from_bytes(b"BREW").expect("a method"), "/api/orders", &["GET", "POST"]),
    ] {
        let response = stack.api.request(method.clone(), path).send().await.expect("an answer");
        let allow = header(&response, "allow");
        let mut named: Vec<_> = allow.split(',').map(str::trim).collect();
        named.sort_unstable();
        // `HEAD` comes with `GET`, and `OPTIONS` with each.
        let implied = allowed.contains(&"GET").then_some("HEAD").into_iter().chain(["OPTIONS"]);
        let mut allowed: Vec<_> = allowed.iter().copied().chain(implied).collect();
        allowed.sort_unstable();
        assert_eq!(problem(response).await.status, 405, "{method} {path}");
        assert_eq!(named, allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_makes_no_difference() {
    let stack = Stack::start().await;
    for path in ["/api/orders/", "/api/payments/stats/"] {
        assert_eq!(stack.api.get(path).await.status(), StatusCode::OK, "{path}");
    }
    for path in ["/api/orders//", &format!("/api/orders/{UNKNOWN_ID}/")] {
        let response = stack.api.get(path).await;
        assert_eq!(problem(response).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn allow_names_each_method_once() {
    let stack = Stack::start().await;
    let response = stack.api.patch("/api/payments/stats", "{}").await;
    assert_eq!(header(&response, "allow"), "GET, HEAD, OPTIONS");
    assert_eq!(problem(response).await.status, 405);
}

#[tokio::test]
async fn options_are_answered_with_the_methods_and_head_as_get_without_a_body() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let path = format!("/api/orders/{id}");
    let options = stack.api.request(Method::OPTIONS, &path).send().await.expect("an answer");
    assert_eq!(
        (options.status(), header(&options, "allow")),
        (StatusCode::NO_CONTENT, "PATCH, GET, HEAD, OPTIONS".to_owned())
    );
    let got = stack.api.get(&path).await;
    let head = stack.api.request(Method::HEAD, &path).send().await.expect("an answer");
    assert_eq!(head.status(), StatusCode::OK);
    for name in ["content-type", "content-length"] {
        assert_eq!(header(&head, name), header(&got, name), "{name}");
    }
    assert!(head.bytes().await.expect("an end").is_empty());
    let nothing = stack.api.request(Method::OPTIONS, "/api/nothing").send().await.expect("an answer");
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    let payment = stack.api.payment_becomes(id, contracts::PaymentStatus::Approved).await.id;
    stack.api.order_becomes(id, contracts::OrderStatus::Paid).await;
    for (path, status) in [
        ("/api/orders".to_owned(), "200 OK"),
        (format!("/api/orders/{id}"), "200 OK"),
        (format!("/api/payments/{payment}"), "200 OK"),
        (format!("/api/orders/{UNKNOWN_ID}"), "404 Not Found"),
        (format!("/api/orders/{id}/cancel"), "405 Method Not Allowed"),
    ] {
        let request = |method| {
            format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").into_bytes()
        };
        let get = exchange(stack.gateway.address(), &request("GET")).await;
        let head = exchange(stack.gateway.address(), &request("HEAD")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{path}: {head}");
        let length = |answer: &str| {
            let lines = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
            lines.expect("a length").to_owned()
        };
        assert_eq!(length(&head), length(&get), "{path}");
    }
}

async fn nothing_was_placed(stack: &Stack) {
    let probe = stack.drain_every_queue().await;
    let orders: contracts::page::Page<contracts::order::Order> = stack.api.read("/api/orders").await;
    assert_eq!(orders.data.iter().map(|order| order.id).collect::<Vec<_>>(), [probe]);
}

/// A valid order of this many bytes.
fn padded(size: usize) -> String {
    let order = format!(r#"{{"userId":"{USER}","total":1"#);
    let padding = size - order.len() - 1;
    format!("{order}{}}}", " ".repeat(padding))
}

/// A request whose body comes in chunks, without a `Content-Length`.
fn chunked(method: &Method, path: &str, size: usize) -> Vec<u8> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let body = padded(size);
    for chunk in body.as_bytes().chunks(10_000) {
        let text = std::str::from_utf8(chunk).expect("ASCII");
        write!(request, "{:x}\r\n{text}\r\n", chunk.len()).expect("there is memory");
    }
    request.push_str("0\r\n\r\n");
    request.into_bytes()
}
