//! Every answer that the gateway describes is one that it gives. (That it gives none that it does not describe, each request of all
//! tests checks.)

use std::net::SocketAddr;

use contracts::event::PaymentApproved;
use contracts::failed_message::FailedMessage;
use contracts::replay::NewReplay;
use contracts::topology::{Queue, Service};
use contracts::{Envelope, EventType, OrderId, OrderStatus, PaymentId, PaymentStatus};
use http::{Method, StatusCode};
use lapin::BasicProperties;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::api::{Api, UNKNOWN_ID, order};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::call::Call;
use tests::description::DESCRIPTION;
use tests::replays::replay_of_all;
use tests::service::ServiceProcess;
use tests::{Stack, eventually, programs};
use tokio::net::TcpListener;
use uuid::Uuid;
use warp::Filter;

/// What takes the place of the parameters in a path.
#[derive(Clone, Copy)]
struct Ids<'a> {
    id: &'a str,
    service: &'a str,
}

/// A request of each operation, with a body that is accepted where it takes one.
fn each<'a>(api: &'a Api, ids: Ids<'a>) -> impl Iterator<Item = Call> + use<'a> {
    DESCRIPTION.operations().map(move |(method, template, operation)| {
        let content = &operation["requestBody"]["content"]["application/json"];
        let body = &content["examples"]["example"]["value"];
        let call = api.request(method, &path(template, ids));
        if *body == Value::Null { call } else { call.json(body) }
    })
}

fn path(template: &str, Ids { id, service }: Ids<'_>) -> String {
    let segments = template.split('/').map(|segment| match segment {
        "{service}" => service,
        "{name}" if id == UNKNOWN_ID => "not-found",
        _ if segment.starts_with('{') => id,
        _ => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

async fn send_each(api: &Api, ids: Ids<'_>) {
    for call in each(api, ids) {
        call.send().await.expect("an answer");
    }
}

#[tokio::test]
async fn every_answer_that_is_described_is_given() {
    let file = KeyFile::of(&[OPERATOR, SHOP, APP]);
    let useless = SHOP.with("from=192.0.2.0/24");
    file.write(&[OPERATOR.line.to_owned(), useless, APP.with("scopes=orders:read rate=1")]);
    let mut stack = Stack::with().gateway_env("API_KEYS_FILE", file.path()).start().await;
    let stranger = stack.api.clone();
    let api = stranger.with_key(OPERATOR);
    let unknown = Ids { id: UNKNOWN_ID, service: "order" };

    what_succeeds(&mut stack, &api).await;
    // 404, 400; then 401 and 429 without a key, 403 with one that may not be used from here.
    send_each(&api, unknown).await;
    send_each(&api, Ids { id: "no-uuid", service: "order" }).await;
    send_each(&api, Ids { id: UNKNOWN_ID, service: "gateway" }).await;
    send_each(&stranger.with_key(SHOP), unknown).await;
    for _ in 0..12 {
        send_each(&stranger, unknown).await;
    }
    // One request a second, and more of them at once.
    let frequent = stranger.with_key(APP);
    for _ in 0..2 {
        send_each(&frequent, unknown).await;
    }
    bad_input(&api).await;
    keys(&stack, &api).await;
    what_is_behind_is_broken(unknown).await;
    let unseen = DESCRIPTION.unseen();
    assert!(unseen.is_empty(), "described, and never given: {unseen:#?}");
}

/// A request of each operation that succeeds, and those that come too late.
async fn what_succeeds(stack: &mut Stack, api: &Api) {
    let id = api.place("10.01").await;
    api.order_becomes(id, OrderStatus::Paid).await;
    let waiting = api.post_order(order("10.01")).header("prefer", "wait=30");
    assert_eq!(waiting.send().await.expect("an answer").status(), StatusCode::OK);
    for path in [
        "/api/orders".to_owned(),
        format!("/api/orders/{id}"),
        format!("/api/orders/{id}/events"),
        "/api/payments".to_owned(),
        "/api/payments/stats".to_owned(),
        format!("/api/payments/order/{id}"),
        format!("/api/payments/{}", PaymentId::of_order(id)),
        "/api/metrics".to_owned(),
    ] {
        api.text(&path).await;
        let known = api.request(Method::GET, &path).header("if-none-match", "*").send().await;
        known.expect("an answer");
    }
    api.text("/api/events").await;
    // One whose cancellation nothing is known of, either.
    let nothing = api.get(&format!("/api/orders/{}/events", OrderId::new())).await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    let ahead = api.get("/api/events?after=999999999999-1").await;
    assert_eq!(ahead.status(), StatusCode::GONE);
    let cancelled = api.request(Method::PATCH, &format!("/api/orders/{id}/cancel")).send().await;
    assert_eq!(cancelled.expect("an answer").status(), StatusCode::ACCEPTED);
    // A stream that is complete, for a client that has all of it.
    api.timeline_has(id, EventType::PaymentRefunded).await;
    let last = api.timeline(id).await.events.pop().expect("a step").event_id.to_string();
    let stream =
        api.request(Method::GET, &format!("/api/orders/{id}/events")).header("accept", "text/event-stream");
    let complete = stream.header("last-event-id", &last).send().await.expect("an answer");
    assert_eq!(complete.status(), StatusCode::NO_CONTENT);
    let other = api.place("10.01").await;
    api.cancel(other).await;
    for document in
        ["openapi.json", "asyncapi.json", "docs", "docs/page.js", "docs/page.css", "problems/not-found"]
    {
        api.text(&format!("/api/{document}")).await;
    }
    books(api).await;
    failed_messages(stack, api).await;
    refunds(api).await;
    ask_now(stack, api).await;
    api.text("/api/admin/audit").await;
}

/// About a paid order; and about one whose next attempt would wait, as far as its row says.
async fn ask_now(stack: &Stack, api: &Api) {
    let paid = api.place("10.01").await;
    api.order_becomes(paid, OrderStatus::Paid).await;
    let slow = api.place("10.05").await;
    api.charge_begins(slow).await;
    let pause = "UPDATE payments SET step_reason = 'retry' WHERE step_reason = 'lease_lapsed'";
    sqlx::query(pause).execute(&stack.payment_database).await.expect("the database answers");
    for (id, expected) in [(paid, StatusCode::CONFLICT), (slow, StatusCode::ACCEPTED)] {
        let path = format!("/api/admin/payment/orders/{id}/ask-now");
        let asked = api.request(Method::POST, &path).json(&json!({"reason": "a test"})).send().await;
        assert_eq!(asked.expect("an answer").status(), expected);
    }
}

async fn books(api: &Api) {
    api.text("/api/admin/books").await;
    let begin = async || {
        let asked = api.request(Method::POST, "/api/admin/books/pass").json(&json!({"reason": "a test"}));
        asked.send().await.expect("an answer").status()
    };
    eventually("no full pass is under way", async || match begin().await {
        StatusCode::ACCEPTED => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(begin().await, StatusCode::CONFLICT, "it is wanted or under way");
}

async fn failed_messages(stack: &mut Stack, api: &Api) {
    stack.payment.stop().await;
    for _ in 0..7 {
        let order_id = OrderId::new();
        let approval = Envelope::now(PaymentApproved { order_id, transaction_id: "t-1".to_owned() }, None);
        let body = approval.encode().expect("an event can be written").body;
        stack.amqp.publish(EventType::PaymentApproved, body.as_bytes(), BasicProperties::default()).await;
    }
    let failed: Vec<FailedMessage> = api.failed_messages_are(Queue::OrderPaymentResult, 7).await;
    let body = api.failed_message(Queue::OrderPaymentResult, failed[0].id).await.body;
    let path = |id: Uuid, what: &str| format!("/api/admin/order/failed-messages/{id}{what}");
    let discard = async || {
        api.request(Method::DELETE, &path(failed[0].id, "")).json(&json!({"reason": "a test"})).send().await
    };
    assert_eq!(api.edit(Service::Order, failed[0].id, &body).await.status(), StatusCode::OK);
    for expected in [StatusCode::ACCEPTED, StatusCode::CONFLICT] {
        assert_eq!(discard().await.expect("an answer").status(), expected);
    }
    assert_eq!(api.edit(Service::Order, failed[0].id, &body).await.status(), StatusCode::CONFLICT);
    replays(api).await;
    let replayed = api.request(Method::POST, &path(failed[1].id, "/replay")).send().await;
    assert_eq!(replayed.expect("an answer").status(), StatusCode::ACCEPTED);
    stack.payment.start_again().await;
}

async fn replays(api: &Api) {
    let path = "/api/admin/order/failed-messages";
    api.text(&format!("{path}/causes")).await;
    let slow = NewReplay { rate_per_second: Some(1), stop_after: 9, ..replay_of_all() };
    let preview = api.request(Method::POST, &format!("{path}/replays/preview")).json(&slow).send().await;
    assert_eq!(preview.expect("an answer").status(), StatusCode::OK);
    let id = api.begin_replay(Service::Order, &slow).await.id;
    for what in ["pause", "resume", "cancel"] {
        for expected in [StatusCode::OK, StatusCode::CONFLICT] {
            assert_eq!(api.change_replay(Service::Order, id, what).await.status(), expected, "{what}");
        }
    }
    let mut of_none = slow;
    of_none.filter.queue = Some(Queue::OrderCreate.to_string());
    assert_eq!(api.post_replay(Service::Order, &of_none).await.status(), StatusCode::CONFLICT);
    api.text(&format!("{path}/replays")).await;
    api.replay(Service::Order, id).await;
    api.replay_members(Service::Order, id).await;
}

async fn refunds(api: &Api) {
    let id = api.place("10.06").await;
    api.order_becomes(id, OrderStatus::Paid).await;
    api.cancel(id).await;
    let path = format!("/api/admin/payment/refunds/{}", PaymentId::of_order(id));
    eventually("the refund is refused", async || {
        let refund = api.get(&path).await.text().await.expect("text");
        if refund.contains("REFUSED") { Ok(()) } else { Err(refund) }
    })
    .await;
    let decide = async |what: &str, body: Value| {
        let answer = api.request(Method::POST, &format!("{path}/{what}")).json(&body).send().await;
        answer.expect("an answer").status()
    };
    let note = || json!({"note": "a test"});
    assert_eq!(decide("retry", note()).await, StatusCode::OK);
    let settle = || json!({"reference": "r-1", "note": "a test"});
    eventually("the refund can be settled", async || match decide("settle", settle()).await {
        StatusCode::OK => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(decide("settle", settle()).await, StatusCode::CONFLICT);
    assert_eq!(decide("retry", note()).await, StatusCode::CONFLICT);
    api.payment_becomes(id, PaymentStatus::Refunded).await;
}

/// Each body too large, not JSON, or wrong; each list with a wrong parameter.
async fn bad_input(api: &Api) {
    for (method, template, operation) in DESCRIPTION.operations() {
        let path = path(template, Ids { id: UNKNOWN_ID, service: "payment" });
        let call = || api.request(method.clone(), &path);
        if operation["responses"].get("413").is_some() {
            let large = call().header("content-type", "application/json").body("x".repeat(70_000));
            large.send().await.expect("an answer");
        }
        if operation.get("requestBody").is_some() {
            for (content_type, body) in [("text/plain", "{}"), ("application/json", "7")] {
                call().header("content-type", content_type).body(body).send().await.expect("an answer");
            }
        }
        if method == Method::GET {
            api.get(&format!("{path}?status=LOST&cursor=x&after=x")).await;
        }
    }
}

/// Each command under a key that stands for it, for another one, and for one that is being executed.
async fn keys(stack: &Stack, api: &Api) {
    let id = OrderId::new();
    let commands = || {
        let change = json!({"status": "CANCELLED"});
        [
            ("k-1", api.post_order(order("10.01"))),
            ("k-2", api.request(Method::PATCH, &format!("/api/orders/{id}")).json(&change)),
            ("k-3", api.request(Method::PATCH, &format!("/api/orders/{id}/cancel"))),
        ]
    };
    let send_with = async |key: &str, call: Call| {
        call.header("idempotency-key", key).send().await.expect("an answer").status()
    };
    for (key, command) in commands() {
        assert_eq!(send_with(key, command).await, StatusCode::ACCEPTED);
    }
    for (key, (_, command)) in ["k-2", "k-1", "k-1"].into_iter().zip(commands()) {
        assert_eq!(send_with(key, command).await, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let began =
        "UPDATE idempotency_keys SET answer_status = NULL, executing_until = now() + interval '1 minute'";
    sqlx::query(began).execute(&stack.order_database).await.expect("the database answers");
    for (key, command) in commands() {
        assert_eq!(send_with(key, command).await, StatusCode::CONFLICT);
    }
}

/// Gateways behind which nothing answers, something too late, or something else.
async fn what_is_behind_is_broken(unknown: Ids<'_>) {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let closed = format!("http://{}", closed_port().await);
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let silent = format!("http://{}", silent.local_addr().expect("it has an address"));
    let teapot = teapot().await;
    let broker = format!("amqp://{}", closed_port().await);
    for behind in [&closed, &silent, &teapot] {
        let variables = programs::environment(&[
            ("RABBITMQ_URL", &broker),
            ("ORDER_SERVICE_URL", behind),
            ("PAYMENT_SERVICE_URL", behind),
            ("REQUEST_TIMEOUT", "300"),
        ]);
        let gateway = ServiceProcess::start(Service::Gateway, variables, logs.path()).await;
        let api = Api::new(gateway.url());
        for call in each(&api, unknown).chain(each(&api, Ids { service: "payment", ..unknown })) {
            call.header("idempotency-key", Uuid::new_v4().to_string()).send().await.expect("an answer");
        }
    }
}

async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    listener.local_addr().expect("it has an address")
}

/// A service that is another one.
async fn teapot() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let answer = warp::any().map(|| warp::reply::with_status("short and stout", StatusCode::IM_A_TEAPOT));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(warp::serve(answer).incoming(listener).run());
    format!("http://{address}")
}

#[tokio::test]
async fn the_document_is_served_as_it_is_and_needs_no_key() {
    let file = KeyFile::of(&[SHOP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", file.path()).start().await;
    let served: Value = stack.api.read("/api/openapi.json").await;
    assert_eq!(&served, DESCRIPTION.document());
    let broker: Value = stack.api.read("/api/asyncapi.json").await;
    assert_eq!(broker, contracts::schema::asyncapi::document());
    let page = stack.api.get("/api/docs").await;
    let policy = tests::api::header(&page, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(stack.api.get("/api/problems/nonsense").await.status(), StatusCode::NOT_FOUND);
    // Everything else does.
    assert_eq!(stack.api.get("/api/orders").await.status(), StatusCode::UNAUTHORIZED);
}
