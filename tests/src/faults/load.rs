//! The customers: they place and cancel orders of every kind, and retry as a good client does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contracts::{OrderId, Timestamp};
use http::StatusCode;
use local_stack::http::plain_builder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::customer::Customer;
use crate::eventually;

/// How long a customer waits for one answer. The gateway answers within its own timeouts, which are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How much load there is.
#[derive(Clone, Copy, Debug)]
pub struct LoadPlan {
    /// Concurrent customers, each of whom places one order after the other.
    pub customers: u64,
    /// New customers a second, each of whom places one order. They come whatever becomes of the orders before.
    pub arrivals: u32,
    /// Longest pause of a customer between two orders, in milliseconds.
    pub pause_ms: u64,
    /// Whether customers use only gateways that are ready, as a load balancer would.
    pub balanced: bool,
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self { customers: 8, arrivals: 0, pause_ms: 250, balanced: false }
    }
}

/// An order that was accepted.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its id, from the first 202.
    pub id: OrderId,
    /// Whether its cancellation was accepted too.
    pub cancelled: bool,
}

impl Placed {
    /// One that was not cancelled.
    #[must_use]
    pub const fn new(id: OrderId) -> Self {
        Self { id, cancelled: false }
    }
}

/// An accepted order of a customer who came for it alone.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its id.
    pub order: OrderId,
    /// When it was to be sent.
    pub due: Timestamp,
}

/// What the customers recorded.
#[derive(Clone, Debug, Default)]
pub struct CustomerRecords {
    /// The accepted orders.
    pub placed: Vec<Placed>,
    /// Those of them whose customers came for them alone.
    pub arrivals: Vec<Arrival>,
    /// Other answers before the 202, and how many of each. The request was sent again after each.
    pub refusals: BTreeMap<String, u64>,
    /// Keys under which two different orders were accepted.
    pub keys_with_two_orders: u64,
    /// What must not happen: an answer that breaks the contract, a request that was not accepted in time.
    pub violations: Vec<String>,
}

impl CustomerRecords {
    /// Adds the records of another customer.
    pub fn merge(&mut self, other: Self) {
        self.placed.extend(other.placed);
        self.arrivals.extend(other.arrivals);
        for (refusal, count) in other.refusals {
            *self.refusals.entry(refusal).or_default() += count;
        }
        self.keys_with_two_orders += other.keys_with_two_orders;
        self.violations.extend(other.violations);
    }
}

/// A gateway, and whether it is ready.
pub(super) struct GatewayAddress {
    pub(super) url: String,
    management_url: String,
    pub(super) ready: AtomicBool,
}

impl GatewayAddress {
    pub(super) const fn new(url: String, management_url: String) -> Self {
        Self { url, management_url, ready: AtomicBool::new(true) }
    }
}

/// Running customers.
pub struct Load {
    stopping: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    customers: JoinSet<CustomerRecords>,
    _balancer: JoinSet<()>,
}

impl Load {
    pub(super) fn start(gateways: Vec<GatewayAddress>, seed: u64, plan: LoadPlan) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicU64::new(0));
        let gateways = Arc::new(gateways);
        let client = plain_builder().and_then(|builder| Ok(builder.timeout(ANSWER_TIMEOUT).build()?));
        let client = client.expect("an HTTP client can be made");
        let mut balancer = JoinSet::new();
        for number in 0..gateways.len() {
            if plan.balanced {
                balancer.spawn(watch_readiness(client.clone(), Arc::clone(&gateways), number));
            }
        }
        let counted = Arc::clone(&accepted);
        let customer = move |number: u64| Customer {
            client: client.clone(),
            gateways: Arc::clone(&gateways),
            random: StdRng::seed_from_u64(seed.wrapping_mul(1000).wrapping_add(number)),
            pause_ms: plan.pause_ms,
            records: CustomerRecords::default(),
            accepted: Arc::clone(&counted),
        };
        let mut customers = JoinSet::new();
        for number in 0..plan.customers {
            customers.spawn(customer(number).run(Arc::clone(&stopping)));
        }
        if plan.arrivals > 0 {
            let newcomers = (plan.customers..).map(customer);
            customers.spawn(arrivals(newcomers, plan.arrivals, Arc::clone(&stopping)));
        }
        Self { stopping, accepted, customers, _balancer: balancer }
    }

    /// How many orders were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until this many more orders are accepted.
    pub async fn wait_for_orders(&self, count: u64) {
        let goal = self.accepted() + count;
        eventually(&format!("{count} more orders are accepted"), async || match self.accepted() {
            accepted if accepted >= goal => Ok(()),
            accepted => Err(format!("{} are missing", goal - accepted)),
        })
        .await;
    }

    /// Lets the customers finish what they have begun, and collects their records.
    pub async fn stop(mut self) -> CustomerRecords {
        self.stopping.store(true, Ordering::Relaxed);
        let mut records = CustomerRecords::default();
        while let Some(of_one) = self.customers.join_next().await {
            records.merge(of_one.expect("a customer does not panic"));
        }
        records
    }
}

/// Lets so many customers a second come.
async fn arrivals(
    newcomers: impl Iterator<Item = Customer> + Send,
    per_second: u32,
    stopping: Arc<AtomicBool>,
) -> CustomerRecords {
    let (start, start_time) = (Instant::now(), Timestamp::now());
    let (mut customers, mut records) = (JoinSet::new(), CustomerRecords::default());
    for (number, customer) in (0..).zip(newcomers) {
        let due = Duration::from_secs(1) * number / per_second;
        sleep_until(start + due).await;
        if stopping.load(Ordering::Relaxed) {
            break;
        }
        customers.spawn(customer.come_once(start_time + due));
        while let Some(of_one) = customers.try_join_next() {
            records.merge(of_one.expect("a customer does not panic"));
        }
    }
    while let Some(of_one) = customers.join_next().await {
        records.merge(of_one.expect("a customer does not panic"));
    }
    records
}

/// Asks a gateway ten times a second whether it is ready.
async fn watch_readiness(client: Client, gateways: Arc<Vec<GatewayAddress>>, number: usize) {
    let gateway = &gateways[number];
    loop {
        let answer = client.get(format!("{}/health/ready", gateway.management_url)).send().await;
        let ready = answer.is_ok_and(|answer| answer.status() == StatusCode::OK);
        gateway.ready.store(ready, Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
    }
}
