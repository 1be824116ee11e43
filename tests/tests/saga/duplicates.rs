//! Duplicate requests: with the same `Idempotency-Key`, a request is executed once and answered as it was the first time.

use std::time::Duration;

use bytes::Bytes;
use contracts::order::{CreateOrderAccepted, IdempotencyClaim, IdempotencyClaimed, Order, StoredAnswer};
use contracts::page::Page;
use contracts::topology::Service;
use contracts::{EventId, EventType, OrderId, OrderStatus, Owner};
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::json;
use tempfile::TempDir;
use tests::api::{Api, IdempotencyKey, header, problem, refused};
use tests::call::Call;
use tests::programs::environment;
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::wire_tap::WireTap;
use tests::{Stack, eventually};
use uuid::Uuid;

const KEY: IdempotencyKey<'static> = IdempotencyKey("k-1");

/// `printf '3f2504e0-4f89-41d3-9a0c-0305e82c3301\n10.01' | sha256sum`
const FINGERPRINT: &str = "1ace01d5c102ade8c213a422fd3bc176d3e7a7536f6c9707bcdea8e958a100fa";

/// What a client sees of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: StatusCode,
    location: Option<String>,
    preference_applied: Option<String>,
    content_type: Option<String>,
    body: Bytes,
}

impl Seen {
    /// The order that it accepts, which it must.
    fn order_id(&self) -> OrderId {
        let accepted: CreateOrderAccepted =
            serde_json::from_slice(&self.body).expect("an order was accepted");
        accepted.order_id
    }
}

/// What a client sees of an answer, and whether it is a repeated one.
async fn seen(response: Response) -> (Seen, bool) {
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).map(|value| value.to_str().expect("it is text").to_owned())
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.expect("the answer has a body");
    let seen = Seen {
        status,
        location: text(&headers, "location"),
        preference_applied: text(&headers, "preference-applied"),
        content_type: text(&headers, "content-type"),
        body,
    };
    let replayed = text(&headers, "idempotency-replayed");
    assert!(matches!(replayed.as_deref(), None | Some("true")), "{replayed:?}");
    (seen, replayed.is_some())
}

async fn sent(request: Call) -> (Seen, bool) {
    seen(request.send().await.expect("an answer")).await
}

/// The cancellation of an order under a key.
fn cancel(stack: &Stack, id: OrderId, key: IdempotencyKey<'_>) -> Call {
    let path = format!("/api/orders/{id}/cancel");
    stack.api.request(Method::PATCH, &path).header("idempotency-key", key.0)
}

/// The same, asked for in the other way.
fn change(stack: &Stack, id: OrderId, key: IdempotencyKey<'_>) -> Call {
    let request = stack.api.request(Method::PATCH, &format!("/api/orders/{id}"));
    request.json(&json!({"status": "CANCELLED"})).header("idempotency-key", key.0)
}

/// A request of a gateway to the order service.
fn of_gateway(stack: &Stack, method: Method, path: &str) -> RequestBuilder {
    let request = Client::new().request(method, format!("{}{path}", stack.order.url()));
    request.bearer_auth(SERVICE_TOKEN).header("x-owner", "anonymous")
}

/// Claims the key for an order of 10.01, as a gateway does; with a lease if it is to execute the request.
async fn claim(stack: &Stack, lease: Option<Duration>) -> IdempotencyClaimed {
    let query = lease.map(|lease| format!("?lease={}", lease.as_millis())).unwrap_or_default();
    let (owner, key) = (Owner::anonymous(), KEY.0.to_owned());
    let claim = IdempotencyClaim { owner, key, fingerprint: FINGERPRINT.to_owned() };
    let request = of_gateway(stack, Method::PUT, &format!("/idempotency-keys{query}")).json(&claim);
    request.send().await.expect("an answer").json().await.expect("the key is claimed")
}

/// Stores an answer, as a gateway does.
async fn store(stack: &Stack, id: OrderId, answer: &StoredAnswer) -> Response {
    let path = format!("/idempotency-keys/{id}/answer");
    of_gateway(stack, Method::PUT, &path).json(answer).send().await.expect("an answer")
}

/// How many claims of keys the order service has answered.
async fn claim_count(stack: &Stack) -> u64 {
    let metrics = stack.order.metrics().await;
    let is_of_claims = |line: &&str| {
        line.starts_with("http_server_request_duration_seconds_count")
            && line.contains(r#"http_route="/idempotency-keys""#)
    };
    let counts =
        metrics.lines().filter(is_of_claims).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

/// The ids of the events of this type about an order that were published until now.
async fn published(messages: &mut WireTap, event_type: EventType, id: OrderId) -> Vec<EventId> {
    let messages = messages.all().await.iter().filter(|message| message.is(event_type, id));
    messages.map(|message| message.envelope().event_id).collect()
}

/// Lets the order service forget the answers, as if a version before had stored the keys.
async fn forget_answers(stack: &Stack) {
    let forgotten = sqlx::query("UPDATE idempotency_keys SET answer_status = NULL, answer_body = NULL");
    forgotten.execute(&stack.order_database).await.expect("the database answers");
}

#[tokio::test]
async fn a_duplicate_order_gets_the_first_answer_byte_for_byte_and_is_not_executed() {
    let mut stack = Stack::start().await;
    let mut messages = stack.amqp.tap().await;
    let (first, is_replayed) = sent(stack.api.post_keyed(KEY, "10.01")).await;
    assert_eq!((first.status, is_replayed), (StatusCode::ACCEPTED, false));
    let id = first.order_id();
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.gateway.stop().await;
    stack.gateway.start_again().await;
    let again = || stack.api.post_keyed(KEY, "10.010");
    // A client that would wait now gets what it got then.
    for request in [again(), again().header("prefer", "wait=5")] {
        assert_eq!(sent(request).await, (first.clone(), true));
    }
    assert_eq!(published(&mut messages, EventType::CreateOrderRequested, id).await.len(), 1);

    // Stored by a version before, it has no answer, and is the same event once more.
    forget_answers(&stack).await;
    assert_eq!(sent(again()).await, (first.clone(), false));
    assert_eq!(sent(again()).await, (first, true));
    let events = published(&mut messages, EventType::CreateOrderRequested, id).await;
    assert_eq!(events, [EventId::of_keyed_order(id); 2]);
}

#[tokio::test]
async fn an_order_that_was_waited_for_is_repeated_as_it_was() {
    let stack = Stack::start().await;
    let waiting = || stack.api.post_keyed(KEY, "10.01").header("prefer", "wait=30");
    let (first, is_replayed) = sent(waiting()).await;
    assert_eq!((first.status, is_replayed), (StatusCode::OK, false));
    let order: Order = serde_json::from_slice(&first.body).expect("the contract's shape");
    assert_eq!(order.status, OrderStatus::Paid);
    stack.api.cancel(order.id).await;
    stack.api.order_becomes(order.id, OrderStatus::Cancelled).await;
    for request in [waiting(), stack.api.post_keyed(KEY, "10.01")] {
        assert_eq!(sent(request).await, (first.clone(), true));
    }
    assert!(first.location.is_some() && first.preference_applied.is_some(), "{first:?}");
}

#[tokio::test]
async fn a_cancellation_is_executed_and_recorded_once_for_each_key() {
    let mut stack = Stack::start().await;
    let mut messages = stack.amqp.tap().await;
    let (one, other) = (stack.api.place("10.01").await, stack.api.place("20.01").await);
    let (first, is_replayed) = sent(cancel(&stack, one, KEY)).await;
    assert_eq!((first.status, is_replayed), (StatusCode::ACCEPTED, false));
    assert_eq!(sent(cancel(&stack, one, KEY)).await, (first.clone(), true));
    assert_eq!(sent(change(&stack, one, KEY)).await, (first, true), "the other way to ask for it");
    stack.api.order_becomes(one, OrderStatus::Cancelled).await;
    assert_eq!(published(&mut messages, EventType::OrderCancelRequested, one).await.len(), 1);

    let placed = IdempotencyKey("k-2");
    stack.api.post_keyed(placed, "10.01").send().await.expect("an answer");
    for another in [
        cancel(&stack, other, KEY),
        change(&stack, other, KEY),
        stack.api.post_keyed(KEY, "10.01"),
        cancel(&stack, one, placed),
    ] {
        let refused = another.send().await.expect("an answer");
        assert_eq!(problem(refused).await.status, 422);
    }
    stack.api.order_becomes(other, OrderStatus::Paid).await;

    // What was counted is recorded at the end.
    stack.gateway.stop().await;
    let recorded = sqlx::query_as::<_, (String, i64)>(
        "SELECT subject, count FROM audit_records WHERE action = 'CANCELLATION_REQUESTED'",
    );
    let recorded = recorded.fetch_all(&stack.order_database).await.expect("the database answers");
    assert_eq!(recorded, [(one.to_string(), 1)]);

    // Executed again, it is the same event.
    stack.gateway.start_again().await;
    forget_answers(&stack).await;
    assert!(!sent(cancel(&stack, one, KEY)).await.1);
    let events = published(&mut messages, EventType::OrderCancelRequested, one).await;
    assert_eq!((events.len(), events[0]), (2, events[1]));
}

#[tokio::test]
async fn an_invalid_key_of_a_cancellation_is_refused_with_everything_else_that_is_wrong() {
    let stack = Stack::start().await;
    let path = "/api/orders/no-id";
    let requests = [
        (stack.api.request(Method::PATCH, &format!("{path}/cancel")), ["Idempotency-Key", "id"].as_slice()),
        (
            stack.api.request(Method::PATCH, path).json(&json!({"status": "PAID"})),
            ["Idempotency-Key", "id", "status"].as_slice(),
        ),
    ];
    for (request, expected) in requests {
        let response = request.header("idempotency-key", "\"open").send().await.expect("an answer");
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, "a cancellation").await, expected);
    }
}

#[tokio::test]
async fn of_requests_that_come_at_once_one_is_executed_and_the_others_get_its_answer() {
    let stack = Stack::start().await;
    let mut messages = stack.amqp.tap().await;
    let answers = join_all((0..20).map(|_| sent(stack.api.post_keyed(KEY, "10.01")))).await;
    let (first, id) = (&answers[0].0, answers[0].0.order_id());
    assert!(answers.iter().all(|(answer, _)| answer == first), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, is_replayed)| !is_replayed).count(), 1);
    assert_eq!(published(&mut messages, EventType::CreateOrderRequested, id).await.len(), 1);
}

#[tokio::test]
async fn a_concurrent_request_waits_for_the_answer_or_is_told_to_come_again() {
    let stack = Stack::start().await;
    let claimed = claim(&stack, Some(Duration::from_mins(1))).await;
    assert!(!claimed.is_repeated && !claimed.is_in_progress, "{claimed:?}");
    // Another gateway executes it, and this one sees that it takes long.
    let response = stack.api.post_keyed(KEY, "10.01").send().await.expect("an answer");
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(problem(response).await.status, 409);
    // A different request does not wait.
    let response = stack.api.post_keyed(KEY, "10.02").send().await.expect("an answer");
    assert_eq!(problem(response).await.status, 422);

    let id = claimed.order_id;
    let claims = claim_count(&stack).await;
    let answered = async {
        eventually("the request waits", async || {
            if claim_count(&stack).await > claims + 1 { Ok(()) } else { Err("it has not asked again") }
        })
        .await;
        store(&stack, id, &StoredAnswer { status: 202, body: None }).await
    };
    let waiting = stack.api.post_keyed(KEY, "10.01").header("prefer", "wait=30");
    let ((answer, is_replayed), stored) = tokio::join!(sent(waiting), answered);
    assert_eq!(stored.status(), StatusCode::NO_CONTENT);
    assert_eq!((answer.status, answer.order_id(), is_replayed), (StatusCode::ACCEPTED, id, true));
    // The first answer stays.
    let later = StoredAnswer { status: 200, body: Some("{}".to_owned()) };
    let stored: StoredAnswer = store(&stack, id, &later).await.json().await.expect("the contract's shape");
    assert_eq!(stored, StoredAnswer { status: 202, body: None });
}

#[tokio::test]
async fn what_a_gateway_began_and_did_not_answer_is_executed_by_another() {
    let mut stack = Stack::with().gateway_env("PUBLISH_TIMEOUT", "1s").start().await;
    let held = stack.block_provider().await;
    let waiting = stack.api.post_keyed(KEY, "10.01").header("prefer", "wait=30");
    let killed = async {
        let id = eventually("the order exists", async || {
            let orders: Page<Order> = stack.api.read("/api/orders").await;
            orders
                .data
                .into_iter()
                .find(|order| order.total.to_string() == "10.01")
                .map(|order| order.id)
                .ok_or("it does not")
        })
        .await;
        stack.api.charge_begins(id).await;
        stack.gateway.kill().await;
        id
    };
    let (lost, id) = tokio::join!(waiting.send(), killed);
    lost.expect_err("the gateway was killed");
    stack.gateway.start_again().await;
    let (answer, is_replayed) = eventually("the lease ends", async || {
        let (answer, is_replayed) = sent(stack.api.post_keyed(KEY, "10.01")).await;
        if answer.status == StatusCode::CONFLICT {
            Err("it is in progress")
        } else {
            Ok((answer, is_replayed))
        }
    })
    .await;
    assert_eq!((answer.order_id(), is_replayed), (id, false));
    held.release().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.drain_every_queue().await;
    let orders: Page<Order> = stack.api.read("/api/orders").await;
    assert_eq!(orders.meta.total, 2, "the order and the probe");
}

#[tokio::test]
async fn a_client_that_went_away_does_not_keep_its_next_request_waiting() {
    let stack = Stack::start().await;
    let held = stack.block_provider().await;
    let waiting =
        stack.api.post_keyed(KEY, "10.01").header("prefer", "wait=30").timeout(Duration::from_secs(1));
    waiting.send().await.expect_err("the charge is held");
    // Within the time that a request waits, and long before a lease of some seconds ends.
    let (answer, is_replayed) = sent(stack.api.post_keyed(KEY, "10.01")).await;
    assert_eq!((answer.status, is_replayed), (StatusCode::ACCEPTED, false));
    held.release().await;
    stack.api.order_becomes(answer.order_id(), OrderStatus::Paid).await;
}

#[tokio::test]
async fn a_refusal_is_not_stored() {
    let stack = Stack::start().await;
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let order_url = stack.order.url();
    // A gateway without a broker.
    let variables = [("RABBITMQ_URL", "amqp://127.0.0.1:1"), ("ORDER_SERVICE_URL", &order_url)];
    let gateway = ServiceProcess::start(Service::Gateway, environment(&variables), logs.path()).await;
    let without_broker = Api::new(gateway.url());
    for _ in 0..2 {
        let response = without_broker.post_keyed(KEY, "10.01").send().await.expect("an answer");
        assert_eq!(problem(response).await.status, 503);
    }
    let (answer, is_replayed) = sent(stack.api.post_keyed(KEY, "10.01")).await;
    assert_eq!((answer.status, is_replayed), (StatusCode::ACCEPTED, false));
    assert_eq!(sent(without_broker.post_keyed(KEY, "10.01")).await, (answer, true));
}

#[tokio::test]
async fn a_gateway_of_the_version_before_keeps_no_request_waiting() {
    let stack = Stack::start().await;
    // It gives no lease, and stores no answer.
    let claimed = claim(&stack, None).await;
    let (answer, is_replayed) = sent(stack.api.post_keyed(KEY, "10.01")).await;
    assert_eq!((answer.order_id(), is_replayed), (claimed.order_id, false));
    let claimed_again = claim(&stack, None).await;
    assert_eq!((claimed_again.order_id, claimed_again.is_in_progress), (claimed.order_id, false));
}

#[tokio::test]
async fn a_claim_that_is_sent_again_is_the_same_requests() {
    let stack = Stack::start().await;
    let owner = Owner::anonymous();
    let claim = IdempotencyClaim { owner, key: KEY.0.to_owned(), fingerprint: FINGERPRINT.to_owned() };
    let send = async |request: Uuid| {
        let path = format!("/idempotency-keys?lease=30000&request={request}");
        let answer = of_gateway(&stack, Method::PUT, &path).json(&claim).send().await.expect("an answer");
        answer.json::<IdempotencyClaimed>().await.expect("the key is claimed").is_in_progress
    };
    let (first, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert!(!send(first).await);
    assert!(send(other).await, "another request is being executed");
    assert!(!send(first).await, "the answer to the first claim may have been lost");
}
