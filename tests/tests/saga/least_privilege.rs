//! What a service may do in its database, where another role owns the schema.

use std::borrow::Cow;

use contracts::health::Health;
use contracts::topology::Service;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::infrastructure::{new_name, new_service_database};
use tests::programs::{environment, run};
use tests::service::ServiceProcess;
use tests::{Stack, eventually};

#[tokio::test]
async fn a_service_can_neither_change_its_schema_nor_rewrite_what_happened() {
    let stack = Stack::start().await;
    let common = [
        "CREATE TABLE more (id integer)",
        "CREATE SCHEMA more",
        "ALTER TABLE failed_messages ADD COLUMN more integer",
        "DROP TABLE failed_messages",
        "TRUNCATE outbox",
        "ALTER TABLE failed_message_audit DISABLE TRIGGER ALL",
        "UPDATE failed_message_audit SET actor = 'another'",
        "DELETE FROM failed_message_audit",
        "UPDATE replay_decisions SET actor = 'another'",
        "DELETE FROM early_cancellations",
        "DELETE FROM _sqlx_migrations",
    ];
    let of_order = [
        "DELETE FROM orders",
        "UPDATE order_events SET status = 'PAID'",
        "UPDATE idempotency_secret SET secret = sha512('')",
        "UPDATE idempotency_keys SET fingerprint = ''",
        "DELETE FROM idempotency_keys",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "UPDATE audit_records SET actor = 'another'",
        "DELETE FROM audit_records",
        "TRUNCATE audit_records",
        "ALTER TABLE audit_records ADD COLUMN more integer",
        "DROP TABLE audit_records",
    ];
    let of_payment = [
        "DELETE FROM payments",
        "UPDATE refund_audit SET actor = 'another'",
        "DELETE FROM refund_audit",
        "ALTER TABLE payments DISABLE ROW LEVEL SECURITY",
    ];
    for (service, own) in [(&stack.order, of_order.as_slice()), (&stack.payment, of_payment.as_slice())] {
        let url = &service.environment()["DATABASE_URL"];
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        for statement in common.iter().chain(own) {
            let refused = sqlx::raw_sql(AssertSqlSafe(*statement)).execute(&mut connection).await;
            let refused = refused.expect_err(statement);
            let code = refused.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
            // insufficient_privilege
            assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_service_waits_until_the_owner_of_its_schema_has_migrated_it() {
    let database = new_service_database(&new_name()).await;
    let variables = [
        ("DATABASE_URL", database.service_url.as_str()),
        ("RABBITMQ_URL", "amqp://localhost:1/"),
        ("LOG_FORMAT", "json"),
    ];
    let refused = run("order", &["--migrate-only"], &environment(&variables)).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(told.contains("give MIGRATION_DATABASE_URL"), "{told}");

    let logs = tempfile::tempdir().expect("there is room");
    let mut order = ServiceProcess::start(Service::Order, environment(&variables), logs.path()).await;
    schema_becomes(&order, "the schema lacks").await;
    let owner = ("MIGRATION_DATABASE_URL", database.owner_url.as_str());
    let variables: Vec<_> = variables.into_iter().chain([owner]).collect();
    let migrated = run("order", &["--migrate-only"], &environment(&variables)).await;
    assert!(migrated.status.success(), "{migrated:?}");
    // The broker is still away.
    schema_becomes(&order, "up").await;
    assert_eq!(order.stop().await.code(), Some(0));
}

/// Waits until a service says this of its schema.
async fn schema_becomes(service: &ServiceProcess, expected: &str) {
    let url = format!("{}/health/ready", service.management_url());
    eventually(&format!("the schema is: {expected}"), async || {
        let health: Health = reqwest::get(&url).await.expect("an answer").json().await.expect("its health");
        let state = health.checks.get("schema").cloned().unwrap_or_default();
        if state.starts_with(expected) { Ok(()) } else { Err(state) }
    })
    .await;
}
