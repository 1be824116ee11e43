//! The gateway, as a client sees it.

use std::time::Duration;

use contracts::failed_message::{FailedMessage, FailedMessageDetails};
use contracts::order::{CancelOrderAccepted, CreateOrderAccepted, Order, Timeline};
use contracts::page::Page;
use contracts::payment::{Payment, PaymentStats};
use contracts::topology::Queue;
use contracts::{EventType, OrderId, OrderStatus, PaymentStatus, Problem};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::api_keys::Key;
use crate::call::Call;
use crate::eventually;

/// The customer of every test order.
pub const USER: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/// An id that no order and no payment has.
pub const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// The value of an `Idempotency-Key` header.
#[derive(Clone, Copy)]
pub struct IdempotencyKey<'a>(pub &'a str);

/// A client of the gateway.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: String,
}

impl Api {
    /// A client of the gateway at this base URL.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self::with_client(url, Client::new())
    }

    /// The same for a client with settings of its own.
    #[must_use]
    pub const fn with_client(url: String, client: Client) -> Self {
        Self { client, url }
    }

    /// The same gateway as a client with this key sees it.
    #[must_use]
    pub fn with_key(&self, key: Key) -> Self {
        let value = HeaderValue::try_from(format!("Bearer {}", key.secret)).expect("a header");
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        let client = Client::builder().default_headers(headers).build().expect("a client");
        Self { client, url: self.url.clone() }
    }

    /// A request to a path such as `/api/orders`.
    pub fn request(&self, method: Method, path: &str) -> Call {
        let request = self.client.request(method.clone(), format!("{}{path}", self.url));
        Call::new(method, path, request)
    }

    /// `GET path`, which must be answered.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("the gateway answers")
    }

    /// The body of `GET path` as it stands on the wire; it must be found.
    pub async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.expect("the answer has a body")
    }

    /// `GET path`, which must be found.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}: {:?}", response.text().await);
        response.json().await.expect("the answer has the contract's shape")
    }

    /// `POST /api/orders` with any body.
    pub fn post_order(&self, body: impl Into<reqwest::Body>) -> Call {
        self.request(Method::POST, "/api/orders").header("content-type", "application/json").body(body)
    }

    /// `POST /api/orders` with a JSON body, which must be answered.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> Response {
        self.post_order(body).send().await.expect("the gateway answers")
    }

    /// `POST /api/orders` of the usual customer under an `Idempotency-Key`. `total` is a JSON number.
    pub fn post_keyed(&self, key: IdempotencyKey<'_>, total: &str) -> Call {
        self.post_order(order(total)).header("idempotency-key", key.0)
    }

    /// `PATCH path` with a JSON body, which must be answered.
    pub async fn patch(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.request(Method::PATCH, path).header("content-type", "application/json").body(body);
        request.send().await.expect("the gateway answers")
    }

    /// Places an order of the usual customer, which must be accepted; as a good client does, it is sent again after a refusal
    /// that says when. `total` is a JSON number.
    pub async fn place(&self, total: &str) -> OrderId {
        accepted(self.patiently(|| self.post_order(order(total))).await).await
    }

    /// Sends a command until it is not refused for the time being.
    async fn patiently(&self, command: impl Fn() -> Call) -> Response {
        loop {
            let answer = command().send().await.expect("the gateway answers");
            let after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            match after.and_then(|seconds| seconds.parse().ok()) {
                Some(seconds) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                    sleep(Duration::from_secs(seconds)).await;
                }
                _ => return answer,
            }
        }
    }

    /// Cancels an order, which must be accepted.
    pub async fn cancel(&self, id: OrderId) {
        let path = format!("/api/orders/{id}");
        let request = || self.request(Method::PATCH, &path).json(&json!({"status": "CANCELLED"}));
        let response = self.patiently(request).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{:?}", response.text().await);
        assert_eq!(response.json::<CancelOrderAccepted>().await.expect("the contract's shape").order_id, id);
    }

    /// The order, if there is one yet.
    pub async fn order(&self, id: OrderId) -> Option<Order> {
        self.find(&format!("/api/orders/{id}")).await
    }

    /// The order's payment, if there is one yet.
    pub async fn payment_of(&self, id: OrderId) -> Option<Payment> {
        self.find(&format!("/api/payments/order/{id}")).await
    }

    async fn find<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let response = self.get(path).await;
        match response.status() {
            StatusCode::NOT_FOUND => None,
            status => {
                assert_eq!(status, StatusCode::OK, "{path}: {:?}", response.text().await);
                Some(response.json().await.expect("the answer has the contract's shape"))
            }
        }
    }

    /// Waits until the order has the status.
    pub async fn order_becomes(&self, id: OrderId, status: OrderStatus) -> Order {
        eventually(&format!("order {id} becomes {status}"), async || {
            let order = self.order(id).await;
            order.filter(|order| order.status == status).ok_or(format!("it is {:?}", self.order(id).await))
        })
        .await
    }

    /// Waits until the order's payment has the status.
    pub async fn payment_becomes(&self, id: OrderId, status: PaymentStatus) -> Payment {
        eventually(&format!("the payment of {id} becomes {status}"), async || {
            let payment = self.payment_of(id).await;
            payment
                .filter(|payment| payment.status == status)
                .ok_or(format!("it is {:?}", self.payment_of(id).await))
        })
        .await
    }

    /// Waits until the payment service has sent the order's charge.
    pub async fn charge_begins(&self, id: OrderId) {
        eventually(&format!("the charge of {id} begins"), async || match self.payment_of(id).await {
            Some(payment) if payment.attempts > 0 => Ok(()),
            payment => Err(format!("it is {payment:?}")),
        })
        .await;
    }

    /// Waits until the payment service has noted that the provider gave no answer about the order's payment.
    pub async fn call_is_unanswered(&self, id: OrderId) {
        eventually("the provider did not answer", async || {
            let payment = self.payment_of(id).await;
            let error = payment.as_ref().and_then(|payment| payment.last_error.as_ref());
            error.map(|_| ()).ok_or_else(|| format!("{payment:?}"))
        })
        .await;
    }

    /// Waits until the order's timeline has this event.
    pub async fn timeline_has(&self, id: OrderId, event_type: EventType) {
        eventually(&format!("the timeline of {id} has {event_type}"), async || {
            let path = format!("/api/orders/{id}/events");
            let timeline: Option<Timeline> = self.find(&path).await;
            let events = timeline.map(|timeline| timeline.events).unwrap_or_default();
            let found = events.iter().any(|entry| entry.event_type == event_type);
            if found { Ok(()) } else { Err(format!("it is {events:?}")) }
        })
        .await;
    }

    /// The order's timeline.
    pub async fn timeline(&self, id: OrderId) -> Timeline {
        self.read(&format!("/api/orders/{id}/events")).await
    }

    /// The failed messages of a queue, as soon as there are this many.
    pub async fn failed_messages_are(&self, queue: Queue, count: usize) -> Vec<FailedMessage> {
        let path = format!("/api/admin/{}/failed-messages?queue={queue}&limit=100", queue.consumer());
        eventually(&format!("{count} messages failed on {queue}"), async || {
            let page: Page<FailedMessage> = self.read(&path).await;
            if page.data.len() == count { Ok(page.data) } else { Err(format!("there are {:?}", page.data)) }
        })
        .await
    }

    /// A failed message of a queue with all that is known of it.
    pub async fn failed_message(&self, queue: Queue, id: Uuid) -> FailedMessageDetails {
        self.read(&format!("/api/admin/{}/failed-messages/{id}", queue.consumer())).await
    }

    /// The totals of the payments.
    pub async fn stats(&self) -> PaymentStats {
        self.read("/api/payments/stats").await
    }
}

/// The body of `POST /api/orders` of the usual customer. `total` is a JSON number.
#[must_use]
pub fn order(total: &str) -> String {
    format!(r#"{{"userId":"{USER}","total":{total}}}"#)
}

/// The order that an answer accepts, which it must.
pub async fn accepted(response: Response) -> OrderId {
    assert_eq!(response.status(), StatusCode::ACCEPTED, "{:?}", response.text().await);
    response.json::<CreateOrderAccepted>().await.expect("the contract's shape").order_id
}

/// The members that a refusal with this status names, sorted. `context` describes the request, for a failure.
pub async fn refused(response: Response, status: StatusCode, context: &str) -> Vec<String> {
    assert_eq!(response.status(), status, "{context}: {:?}", response.text().await);
    let mut members: Vec<_> = problem(response).await.errors.into_iter().map(|error| error.member).collect();
    members.sort();
    members
}

/// A header of an answer, which must have it.
#[must_use]
pub fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).unwrap_or_else(|| panic!("the answer has no {name}"));
    value.to_str().expect("it is text").to_owned()
}

/// The problem that an answer is, which must be one.
pub async fn problem(response: Response) -> Problem {
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").cloned();
    let text = response.text().await.expect("the answer has a body");
    assert_eq!(content_type.expect("a problem has a type"), "application/problem+json", "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(problem.status, status, "{text}");
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{text}");
    problem
}
