//! What services report, and what the gateway answers, while something that they need is unavailable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use contracts::OrderStatus;
use contracts::health::{Health, HealthStatus};
use contracts::topology::Service;
use http::{Method, StatusCode};
use reqwest::{Client, Response};
use serde_json::json;
use tempfile::TempDir;
use tests::api::{IdempotencyKey, UNKNOWN_ID, header, order, problem};
use tests::infrastructure::{new_database, new_name, new_virtual_host};
use tests::programs::environment;
use tests::service::ServiceProcess;
use tests::{Stack, eventually};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use warp::Filter;

#[tokio::test]
async fn a_service_stays_live_and_names_what_is_unavailable() {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let closed = closed_port().await;
    let database = new_database(&new_name()).await;
    let closed_broker = format!("amqp://user:hunter2@{closed}/vhost");
    let closed_database = format!("postgres://user:hunter2@{closed}/database");
    let broker = new_virtual_host(&new_name()).await;
    for (service, variables, up, down) in [
        (Service::Gateway, vec![("RABBITMQ_URL", &closed_broker)], &[][..], &["broker"][..]),
        (
            Service::Order,
            vec![("RABBITMQ_URL", &closed_broker), ("DATABASE_URL", &database)],
            &["schema", "database"],
            &["broker", "consumer order.create.queue"],
        ),
        (
            Service::Payment,
            vec![("RABBITMQ_URL", &broker), ("DATABASE_URL", &closed_database)],
            &[],
            &["schema"],
        ),
    ] {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        let service = ServiceProcess::start(service, variables, logs.path()).await;
        let live =
            reqwest::get(format!("{}/health/live", service.management_url())).await.expect("it answers");
        assert_eq!(live.status(), StatusCode::OK);
        assert_eq!(live.json::<Health>().await.expect("JSON").status, HealthStatus::Up);
        eventually("it reports what is unavailable", async || {
            let ready = reqwest::get(format!("{}/health/ready", service.management_url())).await;
            let ready = ready.expect("it answers");
            assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
            let health: Health = ready.json().await.expect("JSON");
            assert_eq!(health.status, HealthStatus::Down);
            let state = |part: &&str| health.checks.get(*part).map_or("", String::as_str);
            let known = up.iter().all(|part| state(part) == "up")
                && down.iter().all(|part| !matches!(state(part), "" | "up"))
                && down.iter().any(|part| state(part).to_lowercase().contains("refused"));
            assert!(!format!("{health:?}").contains("hunter2"), "{health:?}");
            if known { Ok(()) } else { Err(format!("{health:?}")) }
        })
        .await;
        assert!(!service.log().contains("hunter2"), "a password is in the log");
    }
}

#[tokio::test]
async fn a_command_gets_503_while_the_broker_is_unavailable() {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let broker = format!("amqp://{}", closed_port().await);
    let gateway =
        ServiceProcess::start(Service::Gateway, environment(&[("RABBITMQ_URL", &broker)]), logs.path()).await;
    let id = format!("/api/orders/{UNKNOWN_ID}");
    for (method, path) in [
        (Method::POST, "/api/orders".to_owned()),
        (Method::PATCH, format!("{id}/cancel")),
        (Method::PATCH, id.clone()),
    ] {
        let body =
            if method == Method::POST { order("1") } else { json!({"status": "CANCELLED"}).to_string() };
        let request = Client::new().request(method, format!("{}{path}", gateway.url()));
        let request = request.header("content-type", "application/json").body(body);
        let response = request.send().await.expect("an answer");
        assert_eq!(header(&response, "retry-after"), "1", "{path}");
        assert_eq!(problem(response).await.status, 503, "{path}");
    }
}

#[tokio::test]
async fn only_queries_of_a_stopped_service_fail_and_commands_are_accepted() {
    let mut stack = Stack::start().await;
    stack.order.kill().await;
    for path in ["/api/orders", &format!("/api/orders/{UNKNOWN_ID}")] {
        unavailable(stack.api.get(path).await).await;
    }
    assert_eq!(stack.api.get("/api/payments").await.status(), StatusCode::OK);
    let id = stack.api.place("10.01").await;
    // The order service, which binds keys, is not running.
    unavailable(stack.api.post_keyed(IdempotencyKey("k-1"), "10.01").send().await.expect("an answer")).await;

    stack.payment.kill().await;
    for path in ["/api/payments", "/api/payments/stats", &format!("/api/payments/order/{id}")] {
        unavailable(stack.api.get(path).await).await;
    }
    // A client that waits gets the usual answer.
    let response = stack.api.post_order(order("10.01")).header("prefer", "wait=1").send().await;
    assert_eq!(response.expect("an answer").status(), StatusCode::ACCEPTED);

    stack.order.start_again().await;
    stack.payment.start_again().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}

#[tokio::test]
async fn a_query_is_sent_three_times_at_most_and_times_out() {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let recovering = Upstream::start(2).await;
    let failing = Upstream::start(u32::MAX).await;
    let broker = format!("amqp://{}", closed_port().await);
    let (order_url, payment_url) = (recovering.url(), failing.url());
    let gateway = |order_url: &str, payment_url: &str| {
        let variables = [
            ("RABBITMQ_URL", broker.as_str()),
            ("ORDER_SERVICE_URL", order_url),
            ("PAYMENT_SERVICE_URL", payment_url),
            ("REQUEST_TIMEOUT", "2000"),
        ];
        ServiceProcess::start(Service::Gateway, environment(&variables), logs.path())
    };
    let one = gateway(&order_url, &payment_url).await;
    let response = reqwest::get(format!("{}/api/orders", one.url())).await.expect("an answer");
    assert_eq!((response.status(), recovering.requests()), (StatusCode::OK, 3));
    unavailable(reqwest::get(format!("{}/api/payments", one.url())).await.expect("an answer")).await;
    assert_eq!(failing.requests(), 3);

    // An upstream that accepts the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let silent = format!("http://{}", silent.local_addr().expect("it has an address"));
    let other = gateway(&silent, &silent).await;
    let response = reqwest::get(format!("{}/api/orders", other.url())).await.expect("an answer");
    assert_eq!(problem(response).await.status, 504);
}

#[tokio::test]
async fn the_claim_of_an_idempotency_key_is_repeated_like_a_query() {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let recovering = Upstream::start(2).await;
    let (order_url, broker) = (recovering.url(), format!("amqp://{}", closed_port().await));
    let variables = [("RABBITMQ_URL", broker.as_str()), ("ORDER_SERVICE_URL", &order_url)];
    let gateway = ServiceProcess::start(Service::Gateway, environment(&variables), logs.path()).await;
    let request =
        Client::new().post(format!("{}/api/orders", gateway.url())).header("idempotency-key", "k-1");
    let request = request.header("content-type", "application/json").body(order("10.01"));
    let response = request.send().await.expect("an answer");
    // The claim succeeded; now the broker is unavailable.
    let problem = problem(response).await;
    assert!(problem.detail.starts_with("The broker takes no messages"), "{}", problem.detail);
    assert_eq!(recovering.requests(), 4, "three claims, and one of them is ended");
}

#[tokio::test]
async fn a_broker_connection_that_is_lost_is_replaced() {
    let mut stack = Stack::start().await;
    let before = stack.api.place("10.01").await;
    stack.api.order_becomes(before, OrderStatus::Paid).await;
    // One that publishes each, and one that consumes where there is something to consume.
    stack.management.close_connections(5).await;
    stack.gateway.ready().await;
    let after = eventually("orders are accepted again", async || {
        let response = stack.api.post(order("10.01")).await;
        match response.status() {
            StatusCode::ACCEPTED => Ok(header(&response, "location")),
            status => Err(status),
        }
    })
    .await;
    let id = after.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    tokio::join!(stack.order.ready(), stack.payment.ready());
}

#[tokio::test]
async fn a_service_uses_the_next_node_of_a_cluster_while_one_is_down() {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let name = new_name();
    let node = new_virtual_host(&name).await;
    let user = node.strip_prefix("amqp://").and_then(|rest| rest.split('@').next()).expect("a user");
    let nodes = format!("amqp://{user}@{}/{name},{node}", closed_port().await);
    let mut gateway =
        ServiceProcess::start(Service::Gateway, environment(&[("RABBITMQ_URL", &nodes)]), logs.path()).await;
    gateway.ready().await;
}

async fn unavailable(response: Response) {
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(problem(response).await.status, 503);
}

/// An address that refuses connections.
async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    listener.local_addr().expect("it has an address")
}

/// A service behind the gateway that is not available at first.
struct Upstream {
    address: SocketAddr,
    requests: Arc<AtomicU32>,
    server: JoinHandle<()>,
}

impl Upstream {
    async fn start(failures: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let requests = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&requests);
        let answer = warp::any().map(move || {
            let fails = count.fetch_add(1, Ordering::Relaxed) < failures;
            let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            warp::reply::with_status(format!(r#"{{"orderId":"{UNKNOWN_ID}"}}"#), status)
        });
        #[expect(clippy::disallowed_methods, reason = "aborted when the upstream is dropped")]
        let server = tokio::spawn(warp::serve(answer).incoming(listener).run());
        Self { address, requests, server }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}
