//! `paysaga check`: reports nothing for a consistent system, and otherwise the invariants that are broken.

use contracts::{OrderStatus, PaymentStatus};
use serde_json::Value;
use tests::Stack;
use tests::programs::Environment;
use tests::stack::CommandOutput;

#[tokio::test]
async fn settled_orders_pass_with_and_without_the_databases() {
    let stack = Stack::start().await;
    for (total, status) in
        [("10.01", OrderStatus::Paid), ("20.02", OrderStatus::Cancelled), ("30.03", OrderStatus::Failed)]
    {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, status).await;
    }
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;
    for environment in [Environment::new(), stack.infrastructure_urls()] {
        let behind = !environment.is_empty();
        let ran = stack.paysaga_with(&["check", "--settled", "--json"], environment.clone()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let report = report(&ran);
        assert_eq!(
            (&report["ok"], &report["orders"], &report["settled"], &report["findings"]),
            (&true.into(), &4.into(), &4.into(), &Value::Array(Vec::new())),
        );
        assert_eq!(report["paid"].to_string(), "10.01");
        let held = if behind { "10.01" } else { "null" };
        assert_eq!(report["held"].to_string(), held, "it is known from the databases alone");
        let table = stack.paysaga_with(&["check", "--settled"], environment).await;
        assert!(table.stdout.contains("failed messages"), "{table:?}");
    }
}

#[tokio::test]
async fn a_stuck_order_is_named_with_what_it_waits_for() {
    let mut stack = Stack::start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    stack.outboxes_empty().await;
    // Within the grace period it is not stuck, only in progress.
    let ran = stack.paysaga_with(&["check"], databases_alone(&stack)).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(1));
    for expected in [
        &id.to_string(),
        "all-settled",
        "the payment service has not processed order.created",
        "1 messages in payment.order-created.queue",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {ran:?}");
    }
    stack.payment.start_again().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
}

#[tokio::test]
async fn a_table_that_was_tampered_with_is_reported() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    stack.outboxes_empty().await;
    let orders = &stack.order_database;
    let payments = &stack.payment_database;
    for (database, tamper, repair, invariant) in [
        (orders, "UPDATE orders SET total = 10", "UPDATE orders SET total = 10.01", "books-balance"),
        (orders, "UPDATE orders SET status = 'FAILED'", "UPDATE orders SET status = 'PAID'", "pairs-agree"),
        (
            orders,
            "INSERT INTO order_count_deltas VALUES ('PAID', 2)",
            "INSERT INTO order_count_deltas VALUES ('PAID', -2)",
            "books-balance",
        ),
        (
            payments,
            "UPDATE provider_simulator.charges SET refunded_at = now()",
            "UPDATE provider_simulator.charges SET refunded_at = NULL",
            "books-balance",
        ),
        (
            payments,
            "UPDATE provider_simulator.charges SET payment_id = order_id FROM payments",
            "UPDATE provider_simulator.charges SET payment_id = id FROM payments",
            "one-charge",
        ),
    ] {
        sqlx::query(tamper).execute(database).await.expect("the table can be changed");
        let ran = stack.paysaga_with(&["check", "--settled", "--json"], stack.infrastructure_urls()).await;
        assert_eq!(ran.code, Some(1), "{tamper}: {ran:?}");
        let findings = report(&ran)["findings"].clone();
        let named =
            findings.as_array().expect("a list").iter().any(|finding| finding["invariant"] == invariant);
        assert!(named, "{tamper}: {findings}");
        sqlx::query(repair).execute(database).await.expect("the table can be changed");
    }
    let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn one_database_alone_is_refused_and_a_closed_one_is_named() {
    let stack = Stack::start().await;
    let mut environment = stack.infrastructure_urls();
    environment.remove("PAYMENT_DATABASE_URL");
    let ran = stack.paysaga_with(&["check"], environment).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("--order-database-url needs --payment-database-url"), "{ran:?}");
    let mut environment = stack.infrastructure_urls();
    environment.insert("ORDER_DATABASE_URL".to_owned(), "postgres://me:hush@127.0.0.1:1/orders".to_owned());
    let ran = stack.paysaga_with(&["check"], environment).await;
    assert!(ran.stderr.contains("cannot connect to the order database"), "{ran:?}");
    assert!(!ran.stderr.contains("hush"), "{ran:?}");
}

/// The databases without the broker: a queued message may still be delivered.
fn databases_alone(stack: &Stack) -> Environment {
    let mut environment = stack.infrastructure_urls();
    environment.remove("RABBITMQ_URL");
    environment
}

fn report(ran: &CommandOutput) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}
