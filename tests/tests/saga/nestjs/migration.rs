//! All of theirs replaced by ours, one service after the other under load, and back (docs/MIGRATION.md).

use std::collections::BTreeSet;

use contracts::PaymentId;
use contracts::topology::{Queue, Service};
use serde_json::Value;
use sqlx::PgPool;
use strum::VariantArray;
use tests::amqp::Amqp;
use tests::api::{Api, USER};
use tests::eventually;
use tests::nestjs::{Books, NestJs, Record};
use tests::programs::{self, environment};
use tests::service::ServiceProcess;
use uuid::Uuid;

use super::load::{Gateway, Load};
use super::{Broker, OUTBOX, becomes_zero};

/// What our payment service has not finished.
const PAYMENTS_UNDER_WAY: &str = "
    SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM payments WHERE status = 'PROCESSING' OR next_step IS NOT NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn the_services_are_replaced_one_by_one_under_load_and_back() {
    let broker = Broker::new().await;
    let their_order = NestJs::start(Service::Order, &broker.url, Books::default()).await;
    let their_payment = NestJs::start(Service::Payment, &broker.url, Books::default()).await;
    let load = Load::start(Gateway::start_theirs(&broker.url).await);
    load.more_orders().await;

    // Forward: ours on their queues.
    let books = their_payment.stop().await;
    let import = async |payments: &PgPool| insert_payments(payments, &books).await;
    let (mut payment, payments) = broker.start_over(Service::Payment, import).await;
    load.more_orders().await;
    let books = their_order.stop().await;
    let import = async |orders: &PgPool| insert_orders(orders, &books).await;
    let (mut order, orders) = broker.start_over(Service::Order, import).await;
    load.more_orders().await;
    let mut gateway = broker.start_gateway(&order).await;
    load.switch_to(Gateway::Ours(Api::new(gateway.url()))).await.stop().await;
    load.more_orders().await;
    broker.queues_are("classic").await;

    // Quorum queues, and classic ones again. The others go on.
    for queue_type in ["quorum", "classic"] {
        for service in [&mut order, &mut payment] {
            assert!(service.stop().await.success());
            load.more_orders().await;
            broker.convert_queues(service.service(), queue_type).await;
            service.start_again().await;
        }
        broker.queues_are(queue_type).await;
    }

    // Back, once ours have handled what may arrive twice.
    Amqp::connect(&broker.url).await.all_queues_empty().await;
    load.switch_to(Gateway::start_theirs(&broker.url).await).await;
    assert!(gateway.stop().await.success());
    // While the order service is stopped, nothing new reaches the payment service.
    assert!(order.stop().await.success());
    broker.is_empty(Queue::PaymentOrderCreated).await;
    stop_at_rest(&mut payment, &payments, PAYMENTS_UNDER_WAY).await;
    let their_payment = NestJs::start(Service::Payment, &broker.url, payment_books(&payments).await).await;
    order.start_again().await;
    load.more_orders().await;
    stop_at_rest(&mut order, &orders, OUTBOX).await;
    let their_order = NestJs::start(Service::Order, &broker.url, order_books(&orders).await).await;
    load.more_orders().await;

    let placed = load.stop().await;
    eventually("every order is paid, and no other", async || {
        let (orders, payments) = (their_order.books(), their_payment.books());
        let (paid, approved) = (amounts(&orders, "PAID"), amounts(&payments, "APPROVED"));
        let count = placed.len();
        if paid == placed
            && approved == placed
            && [orders.records.len(), payments.records.len()] == [count; 2]
        {
            return Ok(());
        }
        let missing: Vec<_> = placed.difference(&paid).collect();
        Err(format!("{count} were placed, {} are known; not paid: {missing:?}", orders.records.len()))
    })
    .await;
}

impl Broker {
    /// Starts one of our services once `import` has filled its tables.
    async fn start_over(
        &self,
        service: Service,
        import: impl AsyncFnOnce(&PgPool),
    ) -> (ServiceProcess, PgPool) {
        let (variables, database) = self.variables(service).await;
        let migrated = programs::run(service.name(), &["--migrate-only"], &variables).await;
        assert!(migrated.status.success(), "{migrated:?}");
        import(&database).await;
        let mut process = ServiceProcess::start(service, variables, self.logs.path()).await;
        process.ready().await;
        (process, database)
    }

    /// Converts the queues of a service, which is stopped. The first attempt is killed; the last finds nothing to do.
    async fn convert_queues(&self, service: Service, to: &str) {
        let variables = environment(&[("RABBITMQ_URL", &self.url)]);
        let arguments = |settle| ["convert-queues", service.name(), "--to", to, "--settle", settle];
        let never_ending = arguments("1h");
        tokio::select! {
            ran = programs::run("paysaga", &never_ending, &variables) => panic!("{ran:?}"),
            () = self.begins_to_park() => {}
        }
        for converts in [true, false] {
            let ran = programs::run("paysaga", &arguments("1s"), &variables).await;
            assert!(ran.status.success(), "{ran:?}");
            assert_eq!(String::from_utf8_lossy(&ran.stdout).contains("converted"), converts, "{ran:?}");
        }
    }

    async fn begins_to_park(&self) {
        eventually("a queue to park messages in is declared", async || {
            let queues = self.management.list("queues").await;
            let parking =
                |queue: &Value| queue["name"].as_str().is_some_and(|name| name.ends_with(".converting"));
            if queues.iter().any(parking) { Ok(()) } else { Err(format!("{queues:?}")) }
        })
        .await;
    }

    async fn is_empty(&self, queue: Queue) {
        let amqp = Amqp::connect(&self.url).await;
        eventually(&format!("{queue} is empty"), async || match amqp.depth(queue.name()).await {
            0 => Ok(()),
            depth => Err(format!("it holds {depth}")),
        })
        .await;
    }

    /// All queues that theirs know are of a type, and no other queue is left over.
    async fn queues_are(&self, queue_type: &str) {
        let queues = self.management.list("queues").await;
        for &queue in Queue::VARIANTS {
            for name in [queue.name(), queue.dead_letter_queue()] {
                let found = queues.iter().find(|found| found["name"] == name).expect(name);
                let expected = if queue.is_known_to_nestjs() { queue_type } else { "quorum" };
                assert_eq!(found["type"], expected, "{name}");
            }
        }
        assert_eq!(queues.len(), 2 * Queue::VARIANTS.len(), "{queues:?}");
    }
}

async fn insert_orders(database: &PgPool, theirs: &Books) {
    for (id, Record { status, amount }) in &theirs.records {
        sqlx::query(
            "INSERT INTO orders (id, user_id, total, status, cancel_reason, trace_context)
             VALUES ($1, $2::uuid, $3::numeric, $4, CASE $4 WHEN 'CANCELLED' THEN 'USER_REQUESTED' END, '{}')",
        )
        .bind(id)
        .bind(USER)
        .bind(amount)
        .bind(status)
        .execute(database)
        .await
        .expect("it can be inserted");
    }
}

async fn insert_payments(database: &PgPool, theirs: &Books) {
    for (order, Record { status, amount }) in &theirs.records {
        sqlx::query(
            "INSERT INTO payments (id, order_id, amount, status, transaction_id, trace_context)
             VALUES ($1, $2, $3::numeric, $4, 'theirs', '{}')",
        )
        .bind(PaymentId::of_order((*order).into()).as_uuid())
        .bind(order)
        .bind(amount)
        .bind(status)
        .execute(database)
        .await
        .expect("it can be inserted");
    }
}

async fn books(database: &PgPool, query: &'static str) -> Books {
    let rows = sqlx::query_as::<_, (Uuid, String, String)>(query).fetch_all(database).await;
    let record = |(id, status, amount)| (id, Record { status, amount });
    Books::of(rows.expect("the database answers").into_iter().map(record).collect())
}

async fn order_books(database: &PgPool) -> Books {
    books(database, "SELECT id, status, total::text FROM orders").await
}

async fn payment_books(database: &PgPool) -> Books {
    books(database, "SELECT order_id, status, amount::text FROM payments").await
}

/// Stops one of our services with nothing under way: what is, it finishes in its next life.
async fn stop_at_rest(service: &mut ServiceProcess, database: &PgPool, under_way: &'static str) {
    loop {
        assert!(service.stop().await.success());
        let left = sqlx::query_scalar::<_, i64>(under_way).fetch_one(database).await;
        if left.expect("the database answers") == 0 {
            return;
        }
        service.start_again().await;
        becomes_zero(database, under_way).await;
    }
}

fn amounts(books: &Books, status: &str) -> BTreeSet<String> {
    let with_status = books.records.values().filter(|record| record.status == status);
    with_status.map(|record| record.amount.clone()).collect()
}
