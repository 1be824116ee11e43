//! Each of our services beside the two others as NestJS runs them, on one broker.

mod load;
mod migration;

use contracts::OrderStatus;
use contracts::topology::Service;
use futures_util::{StreamExt, stream};
use sqlx::PgPool;
use tempfile::TempDir;
use tests::api::Api;
use tests::eventually;
use tests::infrastructure::{new_database, new_name, new_virtual_host, servers};
use tests::management::Management;
use tests::nestjs::{Books, NestJs};
use tests::programs::{Environment, environment};
use tests::service::ServiceProcess;

/// Orders of each mix.
const ORDERS: usize = 200;

/// What a service has not published yet.
const OUTBOX: &str = "SELECT count(*) FROM outbox";

#[tokio::test]
async fn our_gateway_and_order_settle_every_order_beside_their_payment() {
    let broker = Broker::new().await;
    let (mut order, database) = broker.start(Service::Order).await;
    let gateway = broker.start_gateway(&order).await;
    order.ready().await;
    // What is not there yet waits in the outbox.
    let api = Api::new(gateway.url());
    let early = api.place("10.01").await;
    api.order_becomes(early, OrderStatus::PendingPayment).await;
    eventually("its event was returned", async || {
        let log = order.log();
        if log.contains("no queue is bound for it") { Ok(()) } else { Err(log) }
    })
    .await;
    let payment = NestJs::start(Service::Payment, &broker.url, Books::default()).await;
    place(&api, ORDERS - 1).await;
    orders_are(&database, "PAID", ORDERS).await;
    api.cancel(early).await;
    eventually("it is refunded", async || match payment.books().count("REFUNDED") {
        1 => Ok(()),
        count => Err(format!("{count} are")),
    })
    .await;
    assert_eq!(payment.books().count("APPROVED"), ORDERS - 1);
}

#[tokio::test]
async fn our_gateway_and_payment_settle_every_order_beside_their_order() {
    let broker = Broker::new().await;
    let order = NestJs::start(Service::Order, &broker.url, Books::default()).await;
    let (mut payment, database) = broker.start(Service::Payment).await;
    // It asks the order service for nothing but what clients query.
    let gateway = broker.start_gateway(&payment).await;
    payment.ready().await;
    let api = Api::new(gateway.url());
    let cancelled = api.place("10.01").await;
    place(&api, ORDERS - 1).await;
    their_books_have(&order, "PAID", ORDERS).await;
    api.cancel(cancelled).await;
    payments_are(&database, "REFUNDED", 1).await;
    assert_eq!(order.books().count("CANCELLED"), 1);
    outbox_is_empty(&database).await;
}

#[tokio::test]
async fn our_order_and_payment_settle_every_order_beside_their_gateway() {
    let broker = Broker::new().await;
    let (mut order, orders) = broker.start(Service::Order).await;
    let (mut payment, payments) = broker.start(Service::Payment).await;
    tokio::join!(order.ready(), payment.ready());
    let gateway = NestJs::start(Service::Gateway, &broker.url, Books::default()).await;
    for _ in 0..ORDERS {
        gateway.request_order("10.01").await;
    }
    orders_are(&orders, "PAID", ORDERS).await;
    let some = sqlx::query_scalar("SELECT id FROM orders LIMIT 1").fetch_one(&orders).await;
    gateway.request_cancellation(some.expect("there is one")).await;
    payments_are(&payments, "REFUNDED", 1).await;
    outbox_is_empty(&orders).await;
    outbox_is_empty(&payments).await;
}

/// A virtual host, and how our services are started on it.
struct Broker {
    url: String,
    name: String,
    management: Management,
    logs: TempDir,
}

impl Broker {
    async fn new() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let name = new_name();
        let url = new_virtual_host(&name).await;
        let management = Management::new(servers().await.rabbitmq.clone(), name.clone());
        Self { url, name, management, logs: TempDir::with_prefix("paysaga-logs-").expect("there is room") }
    }

    async fn start(&self, service: Service) -> (ServiceProcess, PgPool) {
        let (variables, database) = self.variables(service).await;
        (ServiceProcess::start(service, variables, self.logs.path()).await, database)
    }

    /// The variables of a service, and its database, which is empty.
    async fn variables(&self, service: Service) -> (Environment, PgPool) {
        let database = new_database(&format!("{}_{service}", self.name)).await;
        let variables = environment(&[
            ("RABBITMQ_URL", &self.url),
            ("BROKER_TOPOLOGY", "own"),
            ("DATABASE_URL", &database),
            ("DATABASE_CONNECTIONS", "5"),
            ("PROVIDER_LATENCY_MS", "0"),
        ]);
        (variables, PgPool::connect_lazy(&database).expect("a valid URL"))
    }

    /// A gateway that queries `service` for everything.
    async fn start_gateway(&self, service: &ServiceProcess) -> ServiceProcess {
        let queries = service.url();
        let variables = environment(&[
            ("RABBITMQ_URL", &self.url),
            ("BROKER_TOPOLOGY", "own"),
            ("ORDER_SERVICE_URL", &queries),
            ("PAYMENT_SERVICE_URL", &queries),
        ]);
        let mut gateway = ServiceProcess::start(Service::Gateway, variables, self.logs.path()).await;
        gateway.ready().await;
        gateway
    }
}

async fn place(api: &Api, count: usize) {
    stream::iter(0..count).for_each_concurrent(16, |_| async { _ = api.place("10.01").await }).await;
}

async fn orders_are(database: &PgPool, status: &str, count: usize) {
    count_becomes(database, "SELECT count(*) FROM orders WHERE status = $1", status, count).await;
}

async fn payments_are(database: &PgPool, status: &str, count: usize) {
    count_becomes(database, "SELECT count(*) FROM payments WHERE status = $1", status, count).await;
}

async fn count_becomes(database: &PgPool, query: &'static str, status: &str, expected: usize) {
    eventually(&format!("{expected} are {status}"), async || {
        let count = sqlx::query_scalar::<_, i64>(query).bind(status).fetch_one(database).await;
        let count = count.map_err(|error| error.to_string())?;
        if count.unsigned_abs() == expected as u64 { Ok(()) } else { Err(format!("{count} are")) }
    })
    .await;
}

async fn outbox_is_empty(database: &PgPool) {
    becomes_zero(database, OUTBOX).await;
}

async fn becomes_zero(database: &PgPool, query: &'static str) {
    eventually(query, async || {
        let count = sqlx::query_scalar::<_, i64>(query).fetch_one(database).await;
        match count.map_err(|error| error.to_string())? {
            0 => Ok(()),
            count => Err(format!("it is {count}")),
        }
    })
    .await;
}

async fn their_books_have(theirs: &NestJs, status: &str, count: usize) {
    eventually(&format!("{count} are {status}"), async || match theirs.books().count(status) {
        found if found == count => Ok(()),
        found => Err(format!("{found} are")),
    })
    .await;
}
