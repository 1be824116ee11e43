//! How services end, and clients that never complete a request.

use std::time::Duration;

use contracts::health::{Health, HealthStatus};
use contracts::{OrderStatus, PaymentStatus};
use http::StatusCode;
use rustix::process::Signal;
use tests::api::{IdempotencyKey, header, order, problem};
use tests::raw_http::{exchange, rest};
use tests::service::ServiceProcess;
use tests::{Stack, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_service_that_is_stopped_becomes_unready_first_and_exits_0() {
    let mut stack = Stack::with().env("DRAIN_GRACE", "3s").start().await;
    let services = [
        (&mut stack.gateway, Signal::TERM),
        (&mut stack.order, Signal::INT),
        (&mut stack.payment, Signal::TERM),
    ];
    for (service, signal) in services {
        service.signal(signal);
        let ready = format!("{}/health/ready", service.management_url());
        let response = eventually("it is not ready any more", async || {
            let response = reqwest::get(&ready).await.expect("it still answers");
            if response.status() == StatusCode::SERVICE_UNAVAILABLE { Ok(response) } else { Err("it is") }
        })
        .await;
        assert_eq!(header(&response, "connection"), "close");
        let health: Health = response.json().await.expect("JSON");
        assert_eq!((health.status, health.checks["service"].as_str()), (HealthStatus::Down, "shutting down"));
        let live = reqwest::get(format!("{}/health/live", service.management_url())).await;
        let live = live.expect("it still answers");
        assert_eq!(live.status(), StatusCode::OK);

        assert_eq!(service.ended().await.code(), Some(0));
        assert!(TcpStream::connect(service.address()).await.is_err(), "it listens no longer");
        let lines = service.log_lines();
        assert!(lines.iter().any(|line| line["message"] == "shut down"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_half_sent_request_does_not_delay_shutdown() {
    let mut stack = Stack::start().await;
    let half_sent = connected(&stack, "GET /api/orders HTTP/1.1\r\nHost: gate").await;
    stops_cleanly(&mut stack.gateway).await;
    rest(half_sent).await;
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_shutdown() {
    let mut stack = Stack::start().await;
    let silent = connected(&stack, "").await;
    let idle = connected(&stack, "GET /api/orders HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
    let half_idle =
        connected(&stack, "GET /api/orders HTTP/1.1\r\nHost: gateway\r\n\r\nGET /api/orders HT").await;
    stops_cleanly(&mut stack.gateway).await;
    for stream in [silent, idle, half_idle] {
        rest(stream).await;
    }
}

#[tokio::test]
async fn a_slow_client_gets_408_or_is_disconnected() {
    let stack = Stack::start().await;
    let address = stack.gateway.address();
    let mut half_header = TcpStream::connect(address).await.expect("it listens");
    half_header.write_all(b"GET /api/orders HTTP/1.1\r\nHost: gate").await.expect("it reads");
    let half_body = b"POST /api/orders HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
                      Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"userId\":";
    let (header, body) = tokio::join!(rest(half_header), exchange(address, half_body));
    assert!(header.is_empty() || header.starts_with("HTTP/1.1 408 "), "{header}");
    assert!(body.starts_with("HTTP/1.1 408 ") && body.contains("application/problem+json"), "{body}");
}

#[tokio::test]
async fn accepted_work_is_finished_before_a_service_ends() {
    let mut stack = Stack::start().await;
    let held = stack.block_provider().await;
    // A client waits at the gateway for an order whose charge is under way.
    let waiting = stack.api.post_keyed(IdempotencyKey("k-1"), "10.01").header("prefer", "wait=30");
    let answered = async {
        let id = eventually("the order exists", async || {
            let orders: contracts::page::Page<contracts::order::Order> = stack.api.read("/api/orders").await;
            orders.data.first().map(|order| order.id).ok_or("it does not")
        })
        .await;
        stack.api.charge_begins(id).await;
        stack.gateway.signal(Signal::TERM);
        stack.payment.signal(Signal::TERM);
        eventually("the gateway accepts no connections", async || {
            match TcpStream::connect(stack.gateway.address()).await {
                Ok(_) => Err("it does"),
                Err(_) => Ok(()),
            }
        })
        .await;
        held.release().await;
        id
    };
    let (response, id) = tokio::join!(waiting.send(), answered);
    let response = response.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let order: contracts::order::Order = response.json().await.expect("JSON");
    assert_eq!((order.id, order.status), (id, OrderStatus::Paid));
    assert_eq!(stack.gateway.ended().await.code(), Some(0));
    assert_eq!(stack.payment.ended().await.code(), Some(0));
    let outbox = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox");
    assert_eq!(outbox.fetch_one(&stack.payment_database).await.expect("the database answers"), 0);
}

#[tokio::test]
async fn work_that_is_not_finished_in_time_is_resumed_at_the_next_start() {
    // The lease of a charge without a result lapses five seconds after the charge's timeout.
    let mut stack = Stack::with()
        .env("SHUTDOWN_TIMEOUT", "200ms")
        .env("DRAIN_GRACE", "0ms")
        .env("PROVIDER_TIMEOUT", "1s")
        .start()
        .await;
    let held = stack.block_provider().await;
    let (stopped, killed) = (stack.api.place("10.01").await, stack.api.place("10.01").await);
    stack.api.charge_begins(stopped).await;
    stack.api.charge_begins(killed).await;
    assert_eq!(stack.payment.stop().await.code(), Some(1), "the exit code reports unfinished work");
    held.release().await;
    stack.payment.start_again().await;
    for id in [stopped, killed] {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
        stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    }
    assert_eq!(stack.charge_count().await, 2);
}

#[tokio::test]
async fn orders_survive_services_that_stop_and_crash_before_they_are_paid() {
    let mut stack = Stack::with().env("PROVIDER_TIMEOUT", "1s").env("DRAIN_GRACE", "0ms").start().await;
    let mut orders = Vec::new();
    for round in 0..3 {
        for _ in 0..10 {
            orders.push(stack.api.place("10.01").await);
        }
        if round == 1 {
            stack.order.kill().await;
            stack.payment.kill().await;
        } else {
            assert!(stack.order.stop().await.success());
            assert!(stack.payment.stop().await.success());
        }
        stack.payment.start_again().await;
        stack.order.start_again().await;
    }
    for id in &orders {
        stack.api.order_becomes(*id, OrderStatus::Paid).await;
        stack.api.payment_becomes(*id, PaymentStatus::Approved).await;
    }
    assert_eq!(stack.charge_count().await, 30);
    stack.outboxes_empty().await;
    let stats = stack.api.text("/api/payments/stats").await;
    assert_eq!(stats, r#"{"byStatus":[{"status":"APPROVED","count":30,"totalAmount":300.3}]}"#);
    // The gateway ran all the time and still answers.
    let response = stack.api.post(order("0")).await;
    assert_eq!(problem(response).await.status, 400);
    tokio::time::timeout(Duration::from_secs(20), stack.gateway.stop()).await.expect("it ends");
}

/// A connection on which these bytes have arrived.
async fn connected(stack: &Stack, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stack.gateway.address()).await.expect("it listens");
    stream.write_all(bytes.as_bytes()).await.expect("it reads");
    // This request comes later: its answer shows that the other connection has been accepted.
    assert_eq!(stack.api.get("/api/orders").await.status(), StatusCode::OK);
    stream
}

async fn stops_cleanly(service: &mut ServiceProcess) {
    let status = service.stop().await;
    assert_eq!(status.code(), Some(0), "{}", service.log());
}
