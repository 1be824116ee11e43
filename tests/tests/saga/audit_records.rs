//! The audit: who was refused, who cancelled and decided what, and how keys changed, in a chain that can't be edited unseen.

use contracts::api_key::{KeyKind, NewKey};
use contracts::audit_record::AuditRecord;
use contracts::topology::Service;
use contracts::{OrderId, OrderStatus, Word};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sqlx::FromRow;
use tests::api::{UNKNOWN_ID, accepted, order};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::programs::environment;
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::{Stack, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::audit_chain::chain_is_whole;

/// A record as it is stored, without what differs from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub(crate) struct Stored {
    action: String,
    actor: Option<String>,
    key_id: Option<String>,
    address: Option<String>,
    correlation_id: Option<String>,
    subject: Option<String>,
    outcome: Option<i32>,
    reason: Option<String>,
    count: i64,
}

pub(crate) async fn stored(stack: &Stack) -> Vec<Stored> {
    let records = sqlx::query_as(
        "SELECT action, actor, key_id, address, correlation_id, subject, outcome, reason, count
         FROM audit_records ORDER BY number",
    );
    records.fetch_all(&stack.order_database).await.expect("the database answers")
}

/// The records as soon as there are this many.
pub(crate) async fn stored_are(stack: &Stack, count: usize) -> Vec<Stored> {
    eventually(&format!("{count} records are stored"), async || {
        let records = stored(stack).await;
        if records.len() >= count { Ok(records) } else { Err(format!("{records:#?}")) }
    })
    .await
}

/// Sends a request with a key and a correlation id, through a proxy.
async fn send(stack: &Stack, method: Method, path: &str, key: &str, id: &str, body: Value) -> Response {
    let request = stack.api.request(method, path).bearer_auth(key).header("x-correlation-id", id);
    let request = request.header("x-forwarded-for", "192.0.2.7").json(&body);
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn refusals_cancellations_operators_and_keys_are_recorded_and_no_key_is() {
    let keys = KeyFile::of(&[]);
    let expired = APP.with("expires=2020-01-01T00:00:00Z");
    keys.write(&[SHOP.line, OPERATOR.line, &expired]);
    let stack = Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    let unknown = NewKey::new(KeyKind::Live, [7; 32]);
    let send = async |method, path: &str, key: &str, id: &str, body| {
        send(&stack, method, path, key, id, body).await.status().as_u16()
    };
    let none = json!({});
    let orders = "/api/orders";
    let failed = format!("/api/admin/order/failed-messages/{UNKNOWN_ID}");
    let refund = format!("/api/admin/payment/refunds/{UNKNOWN_ID}/settle");
    let placed = stack.api.post_order(order("10.01")).bearer_auth(SHOP.secret).send().await;
    let placed = accepted(placed.expect("an answer")).await;
    let cancel = format!("{orders}/{placed}/cancel");
    let settled = json!({"reference": "T-1", "note": format!("by bank, not by {}", unknown.expose())});
    let requests = [
        (Method::GET, orders, unknown.expose(), "c-1", none.clone(), 401),
        (Method::GET, orders, &unknown.expose()[..40], "c-2", none.clone(), 401),
        (Method::GET, orders, "", "c-3", none.clone(), 401),
        (Method::GET, orders, APP.secret, "c-4", none.clone(), 401),
        (Method::GET, "/api/admin/order/failed-messages", SHOP.secret, "c-5", none.clone(), 403),
        (Method::PATCH, &cancel, SHOP.secret, "c-6", none.clone(), 202),
        (Method::GET, "/api/admin/order/failed-messages?queue=q", OPERATOR.secret, "c-7", none, 200),
        (Method::DELETE, &failed, OPERATOR.secret, "c-8", json!({"reason": "a duplicate"}), 404),
        (Method::POST, &refund, OPERATOR.secret, "c-9", settled, 404),
    ];
    for (method, path, key, id, body, status) in &requests {
        assert_eq!(send(method.clone(), path, key, id, body.clone()).await, *status, "{id}");
    }
    // An ordinary request is no record, be it an operator's.
    assert_eq!(send(Method::GET, orders, OPERATOR.secret, "c-10", json!({})).await, 200);
    keys.write(&[SHOP.with("scopes=orders:write"), OPERATOR.line.to_owned()]);
    let records = stored_are(&stack, 12).await;

    let expected = expected(placed, &unknown, &failed, &refund);
    assert_eq!((records[0].action.as_str(), records.len()), ("KEYS_LOADED", 12));
    let loaded = records[0].reason.as_deref().unwrap_or_default();
    assert!(loaded.starts_with("3 keys; SHA-256 of their sorted lines: "), "{loaded}");
    for (record, expected) in records[1..].iter().zip(&expected) {
        assert_eq!(record, expected);
    }
    are_in_the_log(&stack, &records);
    let half = &unknown.expose()[..40];
    let secrets = [unknown.expose(), half, &half[20..], SHOP.secret, APP.secret, OPERATOR.secret];
    hold_no_secret(&stack, &secrets).await;
}

/// What is recorded of the requests and changes above.
fn expected(placed: OrderId, unknown: &NewKey, failed: &str, refund: &str) -> Vec<Stored> {
    let text = |text: &str| Some(text.to_owned());
    let id_of = |line: &str| line.split_once(':').map(|(_, digest)| digest[..8].to_owned());
    let of = |action: &str| Stored { action: action.to_owned(), count: 1, ..Stored::default() };
    let by = |action: &str, id: &str, outcome| Stored {
        address: text("192.0.2.7"),
        correlation_id: text(id),
        outcome: Some(outcome),
        ..of(action)
    };
    let failed_authentication =
        |id: &str, reason: &str| Stored { reason: text(reason), ..by("AUTHENTICATION_FAILED", id, 401) };
    let by_shop = |record: Stored| Stored { actor: text("shop"), key_id: id_of(SHOP.line), ..record };
    let by_operator = |record: Stored, subject: &str| Stored {
        actor: text("operator"),
        key_id: id_of(OPERATOR.line),
        subject: text(subject),
        ..record
    };
    let denied = by_shop(by("AUTHORIZATION_DENIED", "c-5", 403));
    let of_clients = "scopes=orders:read,orders:write,payments:read,statistics";
    vec![
        Stored { key_id: text(&unknown.digest().id()), ..failed_authentication("c-1", "an unknown key") },
        failed_authentication("c-2", "a part of a key"),
        failed_authentication("c-3", "no key"),
        Stored {
            actor: text("app"),
            key_id: id_of(APP.line),
            ..failed_authentication("c-4", "an expired key")
        },
        Stored {
            subject: text("GET /api/admin/{service}/failed-messages"),
            reason: text("lacks the scope admin:read"),
            ..denied
        },
        Stored { subject: Some(placed.to_string()), ..by_shop(by("CANCELLATION_REQUESTED", "c-6", 202)) },
        by_operator(by("ADMIN_READ", "c-7", 200), "GET /api/admin/order/failed-messages"),
        Stored {
            reason: text("a duplicate"),
            ..by_operator(by("ADMIN_WRITE", "c-8", 404), &format!("DELETE {failed}"))
        },
        Stored {
            reason: text("by bank, not by psk_…"),
            ..by_operator(by("ADMIN_WRITE", "c-9", 404), &format!("POST {refund}"))
        },
        Stored {
            subject: text("app"),
            key_id: id_of(APP.line),
            reason: Some(format!("app {of_clients} expires=2020-01-01T00:00:00.000Z")),
            ..of("KEY_REMOVED")
        },
        Stored {
            subject: text("shop"),
            key_id: id_of(SHOP.line),
            reason: Some(format!("shop scopes=orders:write; before: shop {of_clients}")),
            ..of("KEY_CHANGED")
        },
    ]
}

/// They are in the log as well, each once, and what was refused is a warning.
fn are_in_the_log(stack: &Stack, records: &[Stored]) {
    let lines: Vec<_> =
        stack.gateway.log_lines().into_iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(lines.len(), records.len());
    for (line, record) in lines.iter().zip(records) {
        assert_eq!(line["audit.action"], record.action.as_str(), "{line}");
        assert_eq!(line["audit.correlation_id"].as_str(), record.correlation_id.as_deref(), "{line}");
        let refused = matches!(record.action.as_str(), "AUTHENTICATION_FAILED" | "AUTHORIZATION_DENIED");
        assert_eq!(line["level"], if refused { "WARN" } else { "INFO" }, "{line}");
    }
}

/// Neither the table nor a log holds one of these, or the digest of a key.
async fn hold_no_secret(stack: &Stack, secrets: &[&str]) {
    let table: String = sqlx::query_scalar("SELECT string_agg(audit_records::text, ' ') FROM audit_records")
        .fetch_one(&stack.order_database)
        .await
        .expect("the database answers");
    for secret in secrets {
        for place in [&table, &stack.gateway.log(), &stack.order.log()] {
            assert!(!place.contains(secret), "{secret} is on record");
        }
    }
    for line in [SHOP.line, APP.line, OPERATOR.line] {
        let digest = &line.split_once(':').expect("it has a name").1[..64];
        assert!(!table.contains(digest), "the digest of a key is on record");
    }
}

#[tokio::test]
async fn an_order_leaves_no_record() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.cancel(id).await;
    // What had been recorded before would stand before it.
    let records = stored_are(&stack, 1).await;
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(
        (records[0].action.as_str(), records[0].actor.as_deref()),
        ("CANCELLATION_REQUESTED", Some("anonymous"))
    );
}

#[tokio::test]
async fn a_flood_of_wrong_keys_is_few_records_with_its_number() {
    let keys = KeyFile::of(&[SHOP]);
    let mut stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    // Half of them guess a new key each time.
    let key = |i: u16| {
        let [high, low] = i.to_be_bytes();
        if i.is_multiple_of(2) {
            "wrong".to_owned()
        } else {
            NewKey::new(KeyKind::Live, [high, low].repeat(16).try_into().expect("32 bytes"))
                .expose()
                .to_owned()
        }
    };
    for some in (0..1000).collect::<Vec<u16>>().chunks(50) {
        let requests =
            some.iter().map(|i| stack.api.request(Method::GET, "/api/orders").bearer_auth(key(*i)).send());
        for answer in join_all(requests).await {
            assert_eq!(answer.expect("an answer").status(), StatusCode::UNAUTHORIZED);
        }
    }
    // What was counted is recorded at the end as well.
    assert_eq!(stack.gateway.stop().await.code(), Some(0));
    let records = stored(&stack).await;
    let failures: Vec<_> = records.iter().filter(|record| record.action == "AUTHENTICATION_FAILED").collect();
    assert_eq!(failures.iter().map(|record| record.count).sum::<i64>(), 1000, "{failures:#?}");
    assert!(failures.len() <= 15, "{failures:#?}");
    assert!(failures.iter().all(|record| record.address.as_deref() == Some("127.0.0.1")), "{failures:#?}");
    let lines = stack.gateway.log_lines().into_iter().filter(|line| line["target"] == "audit").count();
    assert_eq!(lines, records.len(), "the log is not flooded either");
}

#[tokio::test]
async fn what_a_caller_does_not_wait_for_is_recorded_without_an_outcome() {
    // A service that takes requests and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let order = format!("http://{}", silent.local_addr().expect("it has an address"));
    let variables = [("RABBITMQ_URL", "amqp://localhost:1/"), ("ORDER_SERVICE_URL", &order)];
    let logs = tempfile::tempdir().expect("there is room");
    let gateway = ServiceProcess::start(Service::Gateway, environment(&variables), logs.path()).await;
    let mut caller = TcpStream::connect(gateway.address()).await.expect("it listens");
    let request =
        format!("DELETE /api/admin/order/failed-messages/{UNKNOWN_ID} HTTP/1.1\r\nHost: gateway\r\n\r\n");
    caller.write_all(request.as_bytes()).await.expect("it reads");
    // The gateway has questions of its own as well.
    let mut passed_on = Vec::new();
    let mut line = String::new();
    while !line.starts_with("DELETE /failed-messages/") {
        line.clear();
        passed_on.push(BufReader::new(silent.accept().await.expect("the gateway asks").0));
        let last = passed_on.last_mut().expect("it was added");
        last.read_line(&mut line).await.expect("a request");
    }
    drop(caller);
    let record = eventually("it is recorded", async || {
        gateway.log_lines().into_iter().find(|line| line["target"] == "audit").ok_or("it is not")
    })
    .await;
    assert_eq!((&record["audit.action"], &record["audit.outcome"]), (&json!("ADMIN_WRITE"), &Value::Null));
}

#[tokio::test]
async fn records_wait_for_the_order_service_and_are_stored_once() {
    let mut stack = Stack::start().await;
    stack.order.stop().await;
    let ids: Vec<_> = (0..50).map(|_| OrderId::new()).collect();
    for id in &ids {
        let path = format!("/api/orders/{id}/cancel");
        let accepted = stack.api.request(Method::PATCH, &path).send().await.expect("an answer");
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    }
    eventually("the gateway says that they wait", async || {
        let told = stack.gateway.log().contains("the order service takes no records of the audit; they wait");
        if told { Ok(()) } else { Err("it does not") }
    })
    .await;
    stack.order.start_again().await;
    stored_are(&stack, ids.len()).await;
    // Those that were on their way at that time are here now too.
    stack.gateway.stop().await;
    let subjects: Vec<_> = stored(&stack).await.into_iter().filter_map(|record| record.subject).collect();
    assert_eq!(subjects, ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    chain_is_whole(&stack, &[]).await;
}

#[tokio::test]
async fn records_that_are_none_are_refused_and_the_gateway_has_no_such_route() {
    let stack = Stack::start().await;
    let post = async |url: String, body: Value| {
        Client::new()
            .post(url)
            .bearer_auth(SERVICE_TOKEN)
            .json(&body)
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    };
    let record = |change: &dyn Fn(&mut AuditRecord<Word>)| {
        let mut record = AuditRecord::now(Word::from("ADMIN_READ"));
        change(&mut record);
        json!({"records": [record]})
    };
    let of_order = format!("{}/audit-records", stack.order.url());
    for wrong in [
        json!({"records": []}),
        json!({"records": vec![AuditRecord::now("ADMIN_READ"); AuditRecord::MAX_BATCH + 1]}),
        json!({"records": [{"action": "ADMIN_READ"}]}),
        record(&|record| record.subject = Some("s".repeat(201))),
        record(&|record| record.reason = Some("nul \0".to_owned())),
    ] {
        assert_eq!(post(of_order.clone(), wrong.clone()).await, 400, "{wrong}");
    }
    for path in ["/api/audit-records", "/audit-records"] {
        assert_eq!(post(format!("{}{path}", stack.gateway.url()), record(&|_| {})).await, 404);
    }
    assert!(stored(&stack).await.is_empty());
}
