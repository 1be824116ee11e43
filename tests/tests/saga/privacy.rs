//! What is kept about a customer: exported in full, and erased without a trace and without a change of the books.

use contracts::order::Order;
use contracts::topology::Queue;
use contracts::{EventType, OrderStatus};
use lapin::BasicProperties;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use tests::Stack;
use tests::api::{IdempotencyKey, USER, accepted};
use tests::programs::Environment;
use tests::stack::CommandOutput;
use uuid::Uuid;

const ANOTHER: &str = "7d444840-9dc0-41d1-b245-5ffdce74fad2";

/// The operator's command with the databases as their owners.
async fn paysaga(stack: &Stack, arguments: &[&str]) -> CommandOutput {
    let of_owner =
        |service: &tests::service::ServiceProcess| service.environment()["MIGRATION_DATABASE_URL"].clone();
    let urls =
        [("ORDER_DATABASE_URL", of_owner(&stack.order)), ("PAYMENT_DATABASE_URL", of_owner(&stack.payment))];
    let environment: Environment = urls.into_iter().map(|(name, url)| (name.to_owned(), url)).collect();
    stack.paysaga_with(arguments, environment).await
}

/// The tables in which a text is found, in any column.
async fn tables_with(database: &PgPool, text: &str) -> Vec<String> {
    let tables = sqlx::query_scalar::<_, String>(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    );
    let mut found = Vec::new();
    for table in tables.fetch_all(database).await.expect("the database answers") {
        // A body is bytes, which are shown in hexadecimal.
        let statement = format!(
            "SELECT EXISTS (SELECT FROM {table} AS t
                            WHERE t::text LIKE '%{text}%'
                               OR t::text LIKE '%' || encode(convert_to('{text}', 'UTF8'), 'hex') || '%')"
        );
        let exists = sqlx::query_scalar::<_, bool>(AssertSqlSafe(statement)).fetch_one(database).await;
        found.extend(exists.expect("the table can be read").then_some(table));
    }
    found
}

#[tokio::test]
async fn a_customer_is_exported_and_erased_and_the_books_stay_as_they_are() {
    let stack = Stack::start().await;
    let keyed = || stack.api.post_keyed(IdempotencyKey("k-1"), "10.01").send();
    let paid = accepted(keyed().await.expect("an answer")).await;
    let declined = stack.api.place("20.02").await;
    let others = accepted(stack.api.post(format!(r#"{{"userId":"{ANOTHER}","total":30.01}}"#)).await).await;
    stack.api.order_becomes(paid, OrderStatus::Paid).await;
    stack.api.order_becomes(declined, OrderStatus::Cancelled).await;
    stack.api.order_becomes(others, OrderStatus::Paid).await;
    let waited_for = async || {
        let request = stack.api.post_keyed(IdempotencyKey("k-2"), "40.01").header("prefer", "wait=30");
        request.send().await.expect("an answer").json::<Order>().await.expect("the order")
    };
    let answered = waited_for().await;
    for (event_type, queue) in [
        (EventType::CreateOrderRequested, Queue::OrderCreate),
        (EventType::OrderCreated, Queue::PaymentOrderCreated),
    ] {
        let body = format!("not an event \u{0}, but of {USER}");
        stack.amqp.publish(event_type, body.as_bytes(), BasicProperties::default()).await;
        stack.api.failed_messages_are(queue, 1).await;
    }
    for database in [&stack.order_database, &stack.payment_database] {
        let edited = format!(
            "UPDATE failed_messages SET original_body = body, body = convert_to('edited, of {USER}', 'UTF8')"
        );
        sqlx::raw_sql(AssertSqlSafe(edited)).execute(database).await.expect("the database answers");
    }
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;
    let stats: Value = stack.api.read("/api/payments/stats").await;

    let exported = paysaga(&stack, &["export", "--user", USER]).await;
    let exported: Value = serde_json::from_str(&exported.stdout).unwrap_or_else(|_| panic!("{exported:?}"));
    let ids: Vec<_> =
        exported["orders"].as_array().expect("orders").iter().map(|order| order["id"].as_str()).collect();
    // Three, and that which went through every queue.
    assert!(ids.len() == 4 && ids.contains(&Some(paid.to_string().as_str())), "{exported}");
    assert!(ids.contains(&Some(declined.to_string().as_str())), "{exported}");
    assert!(exported["orders"][0]["events"].as_array().is_some_and(|events| events.len() >= 3), "{exported}");
    assert_eq!(exported["orders"][0]["payment"]["status"], "APPROVED");
    assert_eq!(exported["failedMessages"].as_array().map(Vec::len), Some(2));
    let (body, edited) =
        (&exported["failedMessages"][0]["body"], &exported["failedMessages"][0]["editedBody"]);
    assert!(body.as_str().is_some_and(|body| body.starts_with("not an event")), "{exported}");
    assert_eq!(*edited, format!("edited, of {USER}"));
    assert_eq!(exported["storedAnswers"].as_array().map(Vec::len), Some(1));
    assert_eq!(exported["storedAnswers"][0]["orderId"], answered.id.to_string());

    let would = paysaga(&stack, &["erase", "--user", USER, "--dry-run"]).await;
    let expected = "would be erased: 4 orders, 8 events, 2 failed messages, 1 stored answers";
    assert!(would.stdout.starts_with(expected), "{would:?}");
    assert_ne!(tables_with(&stack.order_database, USER).await, Vec::<String>::new());
    let erased = paysaga(&stack, &["erase", "--user", USER]).await;
    assert_eq!(
        (erased.code, would.stdout.replace("would be ", "")),
        (Some(0), erased.stdout.clone()),
        "{erased:?}"
    );
    for database in [&stack.order_database, &stack.payment_database] {
        assert_eq!(tables_with(database, USER).await, Vec::<String>::new());
    }
    assert_ne!(tables_with(&stack.order_database, ANOTHER).await, Vec::<String>::new());
    let nothing = paysaga(&stack, &["erase", "--user", USER]).await;
    let expected = "erased: 0 orders, 0 events, 0 failed messages, 0 stored answers";
    assert!(nothing.stdout.starts_with(expected), "{nothing:?}");

    // The books are what they were, and the key still means its order.
    assert_eq!(stack.api.read::<Value>("/api/payments/stats").await, stats);
    assert_eq!(accepted(keyed().await.expect("an answer")).await, paid);
    let erased = Order { user_id: Uuid::nil().into(), ..answered };
    assert_eq!(waited_for().await, erased, "the answer is the first one, without the customer");
    stack.drain_every_queue().await;
    let order = stack.api.order(paid).await.expect("the order stays");
    assert_eq!(order.user_id.to_string(), "00000000-0000-0000-0000-000000000000");
    let checked = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let only_failed_messages = checked.stdout.matches("failed message").count() > 0;
    assert!(only_failed_messages && !checked.stdout.contains("books-balance"), "{checked:?}");
}

#[tokio::test]
async fn a_customer_whose_payment_is_under_way_is_not_erased_yet() {
    let stack = Stack::start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let refused = paysaga(&stack, &["erase", "--user", USER]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("1 orders of this customer are not settled"), "{refused:?}");
    drop(held);
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.outboxes_empty().await;
    let erased = paysaga(&stack, &["erase", "--user", USER]).await;
    assert_eq!(erased.code, Some(0), "{erased:?}");
}
