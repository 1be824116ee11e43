//! The customers: they place and cancel orders of every kind, and try again as a good client does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contracts::OrderId;
use contracts::order::CreateOrderAccepted;
use http::{Method, StatusCode};
use paysaga::infrastructure::http::plain_builder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::api::order;
use crate::eventually;

/// How long a customer tries again before giving up: longer than any fault.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long a customer waits for one answer. The gateway answers within its own timeouts, which are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How much is asked of the services.
#[derive(Clone, Copy, Debug)]
pub struct LoadPlan {
    /// Customers at the same time.
    pub customers: u64,
    /// Longest pause of a customer between two orders, in milliseconds.
    pub pause_ms: u64,
    /// Whether customers use only gateways that say that they are ready, as a load balancer would.
    pub balanced: bool,
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self { customers: 8, pause_ms: 250, balanced: false }
    }
}

/// An order that was accepted.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its id, as the first 202 said.
    pub id: OrderId,
    /// Whether its cancellation was accepted too.
    pub cancelled: bool,
}

impl Placed {
    /// One that nobody cancels.
    #[must_use]
    pub const fn kept(id: OrderId) -> Self {
        Self { id, cancelled: false }
    }
}

/// What the customers can tell afterwards.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// The accepted orders.
    pub placed: Vec<Placed>,
    /// What else was answered before the 202, and how often. Each was tried again.
    pub refusals: BTreeMap<String, u64>,
    /// Keys under which two different orders were accepted.
    pub keys_with_two_orders: u64,
    /// What may not happen at all: an answer that makes no sense, a customer who gave up.
    pub complaints: Vec<String>,
}

impl Book {
    /// Adds what another customer tells.
    pub fn merge(&mut self, other: Self) {
        self.placed.extend(other.placed);
        for (refusal, count) in other.refusals {
            *self.refusals.entry(refusal).or_default() += count;
        }
        self.keys_with_two_orders += other.keys_with_two_orders;
        self.complaints.extend(other.complaints);
    }
}

/// A gateway, as the customers know it.
struct Door {
    url: String,
    ready: AtomicBool,
}

/// Customers at work.
pub struct Load {
    stopping: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    customers: JoinSet<Book>,
    _balancer: JoinSet<()>,
}

impl Load {
    pub(super) fn start(urls: Vec<String>, seed: u64, plan: LoadPlan) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicU64::new(0));
        let doors: Arc<Vec<Door>> =
            Arc::new(urls.into_iter().map(|url| Door { url, ready: AtomicBool::new(true) }).collect());
        let client = plain_builder().and_then(|builder| Ok(builder.timeout(ANSWER_TIMEOUT).build()?));
        let client = client.expect("an HTTP client can be made");
        let mut balancer = JoinSet::new();
        for number in 0..doors.len() {
            if plan.balanced {
                balancer.spawn(watch(client.clone(), Arc::clone(&doors), number));
            }
        }
        let mut customers = JoinSet::new();
        for number in 0..plan.customers {
            let customer = Customer {
                client: client.clone(),
                doors: Arc::clone(&doors),
                random: StdRng::seed_from_u64(seed.wrapping_mul(1000).wrapping_add(number)),
                pause_ms: plan.pause_ms,
                book: Book::default(),
                accepted: Arc::clone(&accepted),
            };
            customers.spawn(customer.shop(Arc::clone(&stopping)));
        }
        Self { stopping, accepted, customers, _balancer: balancer }
    }

    /// How many orders were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until this many more orders are accepted.
    pub async fn more(&self, count: u64) {
        let goal = self.accepted() + count;
        eventually(&format!("{count} more orders are accepted"), async || match self.accepted() {
            accepted if accepted >= goal => Ok(()),
            accepted => Err(format!("{} are missing", goal - accepted)),
        })
        .await;
    }

    /// Lets the customers finish what they began, and listens to them.
    pub async fn stop(mut self) -> Book {
        self.stopping.store(true, Ordering::Relaxed);
        let mut book = Book::default();
        while let Some(told) = self.customers.join_next().await {
            book.merge(told.expect("a customer does not panic"));
        }
        book
    }
}

/// Asks a gateway ten times a second whether it wants customers.
async fn watch(client: Client, doors: Arc<Vec<Door>>, number: usize) {
    let door = &doors[number];
    loop {
        let answer = client.get(format!("{}/health/ready", door.url)).send().await;
        let ready = answer.is_ok_and(|answer| answer.status() == StatusCode::OK);
        door.ready.store(ready, Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
    }
}

struct Customer {
    client: Client,
    doors: Arc<Vec<Door>>,
    random: StdRng,
    pause_ms: u64,
    book: Book,
    accepted: Arc<AtomicU64>,
}

impl Customer {
    async fn shop(mut self, stopping: Arc<AtomicBool>) -> Book {
        while !stopping.load(Ordering::Relaxed) {
            self.buy().await;
            let pause = self.random.random_range(0..=self.pause_ms);
            sleep(Duration::from_millis(pause)).await;
        }
        self.book
    }

    async fn buy(&mut self) {
        let key = Uuid::from_u128(self.random.random()).to_string();
        let body = order(&self.total());
        let Some(id) = self.place(&key, &body).await else { return };
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.book.placed.push(Placed::kept(id));
        // A customer whose browser sends everything twice.
        if self.random.random_bool(0.1) && self.place(&key, &body).await.is_some_and(|again| again != id) {
            self.book.keys_with_two_orders += 1;
        }
        if self.random.random_bool(0.15) {
            let hesitation = self.random.random_range(0..800);
            sleep(Duration::from_millis(hesitation)).await;
            if self.cancel(id).await
                && let Some(placed) = self.book.placed.last_mut()
            {
                placed.cancelled = true;
            }
        }
    }

    /// An amount whose cents say what the provider does: 01 approves, 02 declines, 03 fails, 04 loses the answer; with
    /// others its own dice decide.
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
        let answer = self.insist(Method::POST, "/api/orders", Some(key), body.to_owned()).await?;
        match serde_json::from_str::<CreateOrderAccepted>(&answer) {
            Ok(accepted) => Some(accepted.order_id),
            Err(error) => {
                self.book.complaints.push(format!("a 202 that makes no sense ({error}): {answer}"));
                None
            }
        }
    }

    async fn cancel(&mut self, id: OrderId) -> bool {
        let body = json!({"status": "CANCELLED"}).to_string();
        self.insist(Method::PATCH, &format!("/api/orders/{id}"), None, body).await.is_some()
    }

    /// Sends a command until it is accepted.
    async fn insist(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.send(&method, path, key, &body).await {
                Ok((StatusCode::ACCEPTED, answer)) => return Some(answer),
                Ok((status, _)) if matches!(status.as_u16(), 502..=504) => {
                    *self.book.refusals.entry(status.to_string()).or_default() += 1;
                }
                Ok((status, answer)) => {
                    self.book.complaints.push(format!("{method} {path} was answered {status}: {answer}"));
                    return None;
                }
                Err(error) => *self.book.refusals.entry(kind(&error)).or_default() += 1,
            }
            let pause = self.random.random_range(100..400);
            sleep(Duration::from_millis(pause)).await;
        }
        self.book.complaints.push(format!("{method} {path}: not accepted within {} s", PATIENCE.as_secs()));
        None
    }

    async fn send(
        &mut self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(StatusCode, String), reqwest::Error> {
        let url = format!("{}{path}", self.door());
        let mut request = self.client.request(method.clone(), url);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// The gateway for the next request: any that is ready, or any at all.
    fn door(&mut self) -> &str {
        let first = self.random.random_range(0..self.doors.len());
        let mut doors = (0..self.doors.len()).map(|step| &self.doors[(first + step) % self.doors.len()]);
        let door = doors.find(|door| door.ready.load(Ordering::Relaxed));
        &door.unwrap_or(&self.doors[first]).url
    }
}

/// What went wrong with a request that was not answered.
fn kind(error: &reqwest::Error) -> String {
    let kind = match error {
        _ if error.is_connect() => "no connection",
        _ if error.is_timeout() => "no answer in time",
        _ => "connection lost",
    };
    kind.to_owned()
}
