//! The customers: they place and cancel orders of every kind, and try again as a good client does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contracts::OrderId;
use http::StatusCode;
use local_stack::http::plain_builder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::customer::Customer;
use crate::eventually;

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
pub(super) struct Door {
    pub(super) url: String,
    pub(super) ready: AtomicBool,
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
