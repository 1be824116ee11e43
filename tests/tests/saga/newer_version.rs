//! After a rollback: rows that a newer version wrote are left alone and counted, and everything else goes on.

use contracts::{OrderStatus, PaymentStatus};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use tests::{Stack, eventually};

#[tokio::test]
async fn rows_of_a_newer_version_are_left_alone_and_everything_else_goes_on() {
    let mut stack = Stack::start().await;
    let mut orders = Vec::new();
    for total in ["10.01", "20.01", "30.01"] {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, OrderStatus::Paid).await;
        orders.push(id);
    }
    let [disputed, verified, on_hold] = orders[..] else { unreachable!("three were placed") };
    // What a newer version's migrations have done.
    for (database, statement) in [
        (&stack.payment_database, "ALTER TABLE payments DROP CONSTRAINT payments_status_check".to_owned()),
        (&stack.payment_database, "ALTER TABLE payments DROP CONSTRAINT payments_next_step_check".to_owned()),
        (&stack.order_database, "ALTER TABLE orders DROP CONSTRAINT orders_status_check".to_owned()),
        (&stack.payment_database, newer_migration()),
        (&stack.order_database, newer_migration()),
        (
            &stack.payment_database,
            format!("UPDATE payments SET status = 'DISPUTED' WHERE order_id = '{disputed}'"),
        ),
        (
            &stack.payment_database,
            format!(
                "UPDATE payments SET next_step = 'VERIFY', due_at = now() - interval '1 hour' WHERE order_id = '{verified}'"
            ),
        ),
        (&stack.order_database, format!("UPDATE orders SET status = 'ON_HOLD' WHERE id = '{on_hold}'")),
    ] {
        execute(database, &statement).await;
    }
    stack.payment.stop().await;
    stack.payment.start_again().await;
    stack.order.stop().await;
    stack.order.start_again().await;

    // A cancellation of each is held, and not dead-lettered; the others pass.
    for id in &orders {
        stack.api.cancel(*id).await;
    }
    for _ in 0..3 {
        stack.drain_every_queue().await;
    }
    stack.api.order_becomes(disputed, OrderStatus::Cancelled).await;
    eventually("three messages are held", async || {
        let ran = stack.paysaga(&["failed", "list", "--status", "replaying", "--json"]).await;
        let held: Vec<Value> = serde_json::from_str(&ran.stdout).map_err(|_| format!("{ran:?}"))?;
        if held.len() == 3 { Ok(()) } else { Err(format!("{held:?}")) }
    })
    .await;

    for (path, word) in [
        ("/api/orders".to_owned(), "ON_HOLD"),
        (format!("/api/orders/{on_hold}"), "ON_HOLD"),
        ("/api/payments".to_owned(), "DISPUTED"),
        (format!("/api/payments/order/{disputed}"), "DISPUTED"),
        ("/api/payments/stats".to_owned(), "DISPUTED"),
    ] {
        // The description of this version does not know the word.
        let found = reqwest::get(format!("{}{path}", stack.gateway.url())).await.expect("an answer");
        assert!(found.text().await.expect("text").contains(&format!("\"{word}\"")), "{path}");
    }
    for (service, table, count) in [(&stack.order, "orders", 1), (&stack.payment, "payments", 2)] {
        eventually(&format!("{count} {table} are counted"), async || {
            let counted = service.metrics().await.lines().any(|line| {
                line.starts_with("paysaga_rows_newer")
                    && line.contains(table)
                    && line.ends_with(&format!(" {count}"))
            });
            if counted { Ok(()) } else { Err("they are not") }
        })
        .await;
    }
    stack.outboxes_empty().await;
    assert_eq!(newer_rows(&stack).await, 3);
    // Clients see the statuses, but no steps.
    let ran = stack.paysaga(&["check", "--json"]).await;
    let report: Value = serde_json::from_str(&ran.stdout).expect("it prints JSON");
    assert_eq!(report["newerRows"], 2, "{ran:?}");

    // The newer version is back, and gives its rows the words that it wants.
    for (database, statement) in [
        (&stack.payment_database, "UPDATE payments SET status = 'APPROVED' WHERE status = 'DISPUTED'"),
        (
            &stack.payment_database,
            "UPDATE payments SET next_step = NULL, due_at = NULL WHERE next_step = 'VERIFY'",
        ),
        (&stack.order_database, "UPDATE orders SET status = 'PAID' WHERE status = 'ON_HOLD'"),
        // A minute passes.
        (&stack.payment_database, "UPDATE failed_messages SET replay_at = now() WHERE replay_at IS NOT NULL"),
        (&stack.order_database, "UPDATE failed_messages SET replay_at = now() WHERE replay_at IS NOT NULL"),
    ] {
        execute(database, statement).await;
    }
    for id in orders {
        stack.api.order_becomes(id, OrderStatus::Cancelled).await;
        stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    }
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;
    assert_eq!(newer_rows(&stack).await, 0);
}

/// How many rows of a newer version the auditor counts; it finds nothing wrong.
async fn newer_rows(stack: &Stack) -> u64 {
    let ran = stack.paysaga_with(&["check", "--settled", "--json"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).expect("it prints JSON");
    report["newerRows"].as_u64().expect("a number")
}

/// A migration that this version does not know.
fn newer_migration() -> String {
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
     VALUES (9999, 'newer', true, '\\x00', 0)"
        .to_owned()
}

async fn execute(database: &PgPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement)).execute(database).await.expect("the database answers");
}
