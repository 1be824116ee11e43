//! One customer, who behaves as a good client does: it sends a request again, under the same key, until it is accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contracts::order::CreateOrderAccepted;
use contracts::{OrderId, Problem, Timestamp};
use http::{Method, StatusCode};
use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::Client;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::load::{Arrival, CustomerRecords, GatewayAddress, Placed};
use crate::api::order;

/// How long a request is sent again before that counts as a violation: longer than any fault.
const TIMEOUT: Duration = Duration::from_mins(3);

/// What a gateway answers while too much waits. No service failed then.
const OVERLOADED: &str = "More orders are waiting";

/// How that is recorded.
pub(super) const TOO_MUCH_WAITS: &str = "503, too much waits";

/// A customer who places orders.
pub(super) struct Customer {
    pub(super) client: Client,
    pub(super) gateways: Arc<Vec<GatewayAddress>>,
    pub(super) random: StdRng,
    pub(super) pause_ms: u64,
    pub(super) records: CustomerRecords,
    pub(super) accepted: Arc<AtomicU64>,
}

impl Customer {
    /// Places orders with pauses between them until the load is stopped; returns what it recorded.
    pub(super) async fn run(mut self, stopping: Arc<AtomicBool>) -> CustomerRecords {
        while !stopping.load(Ordering::Relaxed) {
            self.place_order().await;
            let pause = self.random.random_range(0..=self.pause_ms);
            sleep(Duration::from_millis(pause)).await;
        }
        self.records
    }

    /// Places one order, which was to be sent at this time; returns what it recorded.
    pub(super) async fn come_once(mut self, due: Timestamp) -> CustomerRecords {
        self.place_order().await;
        self.records.arrivals =
            self.records.placed.iter().map(|placed| Arrival { order: placed.id, due }).collect();
        self.records
    }

    async fn place_order(&mut self) {
        let key = Uuid::from_u128(self.random.random()).to_string();
        let body = order(&self.total());
        let Some(id) = self.place(&key, &body).await else { return };
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.records.placed.push(Placed::new(id));
        // A customer whose browser sends everything twice.
        if self.random.random_bool(0.1) && self.place(&key, &body).await.is_some_and(|again| again != id) {
            self.records.keys_with_two_orders += 1;
        }
        if self.random.random_bool(0.15) {
            let hesitation = self.random.random_range(0..800);
            sleep(Duration::from_millis(hesitation)).await;
            if self.cancel(id).await
                && let Some(placed) = self.records.placed.last_mut()
            {
                placed.cancelled = true;
            }
        }
    }

    /// A total whose cents determine the outcome: 01 approves, 02 declines, 03 fails, 04 loses the answer; with others
    /// the provider draws it.
    fn total(&mut self) -> String {
        let cents = match self.random.random_range(0..100) {
            0..40 => 1,
            40..52 => 2,
            52..58 => 3,
            58..63 => 4,
            _ => self.random.random_range(50..100),
        };
        format!("{}.{cents:02}", self.random.random_range(1..1000))
    }

    async fn place(&mut self, key: &str, body: &str) -> Option<OrderId> {
        let answer =
            self.send_until_accepted(Method::POST, "/api/orders", Some(key), body.to_owned()).await?;
        match serde_json::from_str::<CreateOrderAccepted>(&answer) {
            Ok(accepted) => Some(accepted.order_id),
            Err(error) => {
                self.records.violations.push(format!("a 202 that breaks the contract ({error}): {answer}"));
                None
            }
        }
    }

    async fn cancel(&mut self, id: OrderId) -> bool {
        let body = json!({"status": "CANCELLED"}).to_string();
        self.send_until_accepted(Method::PATCH, &format!("/api/orders/{id}"), None, body).await.is_some()
    }

    /// Sends a command until it is accepted.
    async fn send_until_accepted(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> Option<String> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            match self.send(&method, path, key, &body).await {
                Ok((StatusCode::ACCEPTED, answer)) => return Some(answer),
                Ok((StatusCode::SERVICE_UNAVAILABLE, answer)) if answer.contains(OVERLOADED) => {
                    *self.records.refusals.entry(TOO_MUCH_WAITS.to_owned()).or_default() += 1;
                }
                Ok((status, answer)) if matches!(status.as_u16(), 409 | 502..=504) => {
                    *self.records.refusals.entry(refusal(status, &answer)).or_default() += 1;
                }
                Ok((status, answer)) => {
                    self.records.violations.push(format!("{method} {path} was answered {status}: {answer}"));
                    return None;
                }
                Err(error) => *self.records.refusals.entry(failure(&error)).or_default() += 1,
            }
            let pause = self.random.random_range(100..400);
            sleep(Duration::from_millis(pause)).await;
        }
        self.records.violations.push(format!("{method} {path}: not accepted within {} s", TIMEOUT.as_secs()));
        None
    }

    async fn send(
        &mut self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(StatusCode, String), reqwest::Error> {
        let url = format!("{}{path}", self.gateway());
        let mut request = self.client.request(method.clone(), url);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// The gateway for the next request: any that is ready, or any at all.
    fn gateway(&mut self) -> &str {
        let first = self.random.random_range(0..self.gateways.len());
        let mut gateways =
            (0..self.gateways.len()).map(|step| &self.gateways[(first + step) % self.gateways.len()]);
        let gateway = gateways.find(|gateway| gateway.ready.load(Ordering::Relaxed));
        &gateway.unwrap_or(&self.gateways[first]).url
    }
}

/// The status, and the first sentence of why.
fn refusal(status: StatusCode, answer: &str) -> String {
    let detail = serde_json::from_str::<Problem>(answer).map(|problem| problem.detail).unwrap_or_default();
    let reason = detail.split_inclusive('.').next().unwrap_or("no problem details");
    format!("{}, {reason}", status.as_u16())
}

/// Why a request was not answered.
fn failure(error: &reqwest::Error) -> String {
    let kind = match error {
        _ if error.is_connect() => "no connection",
        _ if error.is_timeout() => "no answer in time",
        _ => "connection lost",
    };
    kind.to_owned()
}
