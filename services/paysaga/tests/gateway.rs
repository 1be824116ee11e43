//! The client of the gateway, against answers that are written here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use contracts::order::CreateOrder;
use contracts::{OrderId, OrderStatus, Word};
use paysaga::gateway::{ApiKey, Gateway, Placing};

const ORDER: &str = "0198c0de-0000-7000-8000-000000000001";

/// Listens, answers one request after the other with what it was given, and keeps the requests.
struct StandIn {
    url: String,
    requests: Receiver<String>,
}

impl StandIn {
    fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let length = connection.read(&mut request).unwrap();
                sender.send(String::from_utf8_lossy(&request[..length]).to_lowercase()).unwrap();
                connection.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { url, requests }
    }

    fn client(&self) -> Gateway {
        Gateway::new(self.url.parse().unwrap(), None).unwrap()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn an_order() -> CreateOrder {
    CreateOrder { user_id: uuid::Uuid::nil().into(), total: "12.30".parse().unwrap() }
}

#[tokio::test]
async fn an_order_is_placed_with_key_wait_and_idempotency_key() {
    let accepted = format!(r#"{{"orderId":"{ORDER}","message":"m","status":"PENDING_PAYMENT"}}"#);
    let traceparent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n";
    let stand_in = StandIn::answering(vec![answer("202 Accepted", traceparent, &accepted)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "hush\n").unwrap();
    let key = ApiKey::read(file.path()).unwrap();
    let gateway = Gateway::new(stand_in.url.parse().unwrap(), Some(key)).unwrap();
    assert!(!format!("{gateway:?}").contains("hush"));

    let how = Placing { idempotency_key: Some("k-1"), wait: Some(Duration::from_secs(3)) };
    let placed = gateway.place(&an_order(), how).await.unwrap();
    assert_eq!(placed.order_id, ORDER.parse::<OrderId>().unwrap());
    let trace = placed.trace.unwrap();
    assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(placed.settled.is_none());

    let request = stand_in.requests.recv().unwrap();
    for expected in [
        "post /api/orders http/1.1",
        "authorization: bearer hush",
        "idempotency-key: k-1",
        "prefer: wait=3",
        "content-type: application/json",
        r#""total":12.3}"#,
    ] {
        assert!(request.contains(expected), "{expected}: {request}");
    }
}

#[tokio::test]
async fn a_settled_order_in_the_answer_is_the_order() {
    let order = format!(
        r#"{{"id":"{ORDER}","userId":"{}","total":12.3,"status":"PAID",
             "createdAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:04:05.778Z"}}"#,
        uuid::Uuid::nil()
    );
    let stand_in = StandIn::answering(vec![answer("200 OK", "preference-applied: wait\r\n", &order)]);
    let placed = stand_in.client().place(&an_order(), Placing::default()).await.unwrap();
    assert_eq!(placed.settled.unwrap().status, OrderStatus::Paid);
    assert!(placed.trace.is_none());
}

#[tokio::test]
async fn not_found_is_none_and_every_other_refusal_an_error() {
    let problem = |status: u16, title: &str| {
        let body = format!(r#"{{"status":{status},"title":"{title}","detail":"Try again."}}"#);
        answer(&format!("{status} {title}"), "content-type: application/problem+json\r\n", &body)
    };
    let stand_in = StandIn::answering(vec![problem(404, "Not Found"), problem(503, "Service Unavailable")]);
    let gateway = stand_in.client();
    let order = ORDER.parse().unwrap();
    assert_eq!(gateway.order::<Word, Word>(order).await.unwrap(), None);
    let error = gateway.payment_of::<Word>(order).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} refused: 503 Service Unavailable: Try again.", stand_in.url));
    assert_eq!(error.status(), Some(503));
}

#[tokio::test]
async fn a_refused_connection_is_distinguished_from_one_that_breaks() {
    let stand_in = StandIn::answering(vec![String::new()]);
    let gateway = stand_in.client();
    let broken = gateway.payment_stats().await.unwrap_err().to_string();
    assert!(broken.starts_with(&format!("cannot talk to {}: ", stand_in.url)), "{broken}");
    stand_in.requests.recv().unwrap();
    stand_in.requests.recv().unwrap_err(); // it has stopped listening
    let refused = gateway.payment_stats().await.unwrap_err();
    let expected = format!("nothing answers at {}; is `paysaga up` running?", stand_in.url);
    assert_eq!(refused.to_string(), expected);
    assert_eq!(refused.status(), None);
}
