//! Requests that are answered while they are still being sent.

use std::net::SocketAddr;

use tests::Stack;
use tests::api::{UNKNOWN_ID, order};
use tests::api_keys::{KeyFile, SHOP};
use tests::raw_http::{exchange, rest};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_request_that_is_refused_for_its_head_is_answered_before_its_body_is_sent() {
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let gateway = stack.gateway.address();
    let key = format!("Authorization: Bearer {}\r\n{JSON}", SHOP.secret);
    for (request_line, headers, status) in [
        ("POST /api/orders", JSON, 401),
        ("POST /api/orders", "Authorization: Bearer wrong", 401),
        ("POST /api/nothing", &*key, 404),
        ("PUT /api/orders", &key, 405),
        ("POST /api/orders", "Authorization: Bearer key-of-shop", 415),
        ("POST /api/admin/order/failed-messages/replay", &key, 403),
        (&format!("PATCH /api/orders/{}/cancel", &UNKNOWN_ID[1..]), &key, 400),
    ] {
        for length in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
            let request =
                format!("{request_line} HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n{length}\r\n\r\n");
            // It closes the connection too, since it does not read on; or this would wait for more.
            let answer = exchange(gateway, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
            assert!(answer.contains("connection: close\r\n"), "{request}{answer}");
            assert!(answer.contains("application/problem+json"), "{request}{answer}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_while_it_is_sent_and_the_answer_is_not_lost() {
    let stack = Stack::start().await;
    let gateway = stack.gateway.address();
    // Its length says so already.
    let declared = format!("{}Content-Length: 1000000\r\n\r\n", post());
    let answer = exchange(gateway, declared.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // More chunks than it takes, and no end. The client reads nothing before it has sent all of them.
    let chunk = format!("2000\r\n{}\r\n", " ".repeat(0x2000));
    for count in [9, 100] {
        let endless = format!("{}Transfer-Encoding: chunked\r\n\r\n{}", post(), chunk.repeat(count));
        let answer = exchange(gateway, endless.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{count} chunks: {answer}");
        assert!(answer.contains("The body must not be larger than 65536 bytes."), "{count} chunks: {answer}");
    }
    serves(gateway).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let stack = Stack::start().await;
    let gateway = stack.gateway.address();
    let long =
        format!("GET /api/orders HTTP/1.1\r\nHost: gateway\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let many = "X-More: 1\r\n".repeat(65);
    let many = format!("GET /api/orders HTTP/1.1\r\nHost: gateway\r\n{many}\r\n");
    for request in [long, many] {
        let answer = exchange(gateway, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    serves(gateway).await;
}

#[tokio::test]
async fn a_body_may_arrive_byte_by_byte() {
    let stack = Stack::start().await;
    let body = order("10.01");
    let mut stream = TcpStream::connect(stack.gateway.address()).await.expect("it listens");
    stream.set_nodelay(true).expect("it can be set");
    let head = format!("{}Connection: close\r\nContent-Length: {}\r\n\r\n", post(), body.len());
    stream.write_all(head.as_bytes()).await.expect("it takes the head");
    for byte in body.as_bytes() {
        stream.write_all(&[*byte]).await.expect("it takes the body");
        stream.flush().await.expect("it is sent");
    }
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

/// The beginning of a request.
fn post() -> String {
    format!("POST /api/orders HTTP/1.1\r\nHost: gateway\r\n{JSON}\r\n")
}

/// Others are served as before.
async fn serves(gateway: SocketAddr) {
    let request = "GET /api/orders HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
    let answer = exchange(gateway, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
