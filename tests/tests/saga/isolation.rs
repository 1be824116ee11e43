//! One trigger that can't be stored does not keep the others of its batch from being applied, and is not lost.

use contracts::topology::Queue;
use contracts::{OrderId, OrderStatus, PaymentStatus};
use sqlx::PgPool;
use tests::{Stack, eventually};

/// The amount that a database refuses, and how many orders are placed with another one before and after it.
const REFUSED: &str = "66.01";
const NEIGHBOURS: usize = 4;

/// Makes a database refuse rows of which `condition` is true.
async fn refuse(database: &PgPool, table: &str, condition: &str) {
    let constraint =
        format!("ALTER TABLE {table} ADD CONSTRAINT refused CHECK (NOT ({condition})) NOT VALID");
    execute(database, constraint).await;
}

async fn refuse_no_more(database: &PgPool, table: &str) {
    execute(database, format!("ALTER TABLE {table} DROP CONSTRAINT refused")).await;
}

async fn execute(database: &PgPool, statement: String) {
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(database).await.expect("the database answers");
}

/// Orders that are handled together: one that is refused in the middle of its neighbours.
struct Batch {
    refused: OrderId,
    neighbours: Vec<OrderId>,
}

impl Batch {
    async fn place(stack: &Stack) -> Self {
        let mut neighbours = Vec::new();
        for _ in 0..NEIGHBOURS {
            neighbours.push(stack.api.place("10.01").await);
        }
        let refused = stack.api.place(REFUSED).await;
        for _ in 0..NEIGHBOURS {
            neighbours.push(stack.api.place("10.01").await);
        }
        Self { refused, neighbours }
    }

    async fn neighbours_become(&self, stack: &Stack, status: OrderStatus) {
        for &id in &self.neighbours {
            stack.api.order_becomes(id, status).await;
        }
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_is_set_aside_and_can_be_replayed() {
    let mut stack = Stack::start().await;
    refuse(&stack.payment_database, "payments", &format!("amount = {REFUSED}")).await;
    stack.payment.stop().await;
    let batch = Batch::place(&stack).await;
    stack.payment.start_again().await;
    batch.neighbours_become(&stack, OrderStatus::Paid).await;
    let failed = stack.api.failed_messages_are(Queue::PaymentOrderCreated, 1).await.remove(0);
    assert!(failed.reason.contains("refused"), "the constraint is named: {}", failed.reason);

    refuse_no_more(&stack.payment_database, "payments").await;
    let id = failed.id.to_string();
    let replayed = stack.paysaga(&["failed", "replay", &id]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    stack.api.order_becomes(batch.refused, OrderStatus::Paid).await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_is_asked_for_again() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "2s").start().await;
    let provider = stack.block_provider().await;
    let batch = Batch::place(&stack).await;
    for &id in batch.neighbours.iter().chain([&batch.refused]) {
        stack.api.charge_begins(id).await;
    }
    let condition = format!("amount = {REFUSED} AND status = 'APPROVED'");
    refuse(&stack.payment_database, "payments", &condition).await;
    provider.release().await;
    batch.neighbours_become(&stack, OrderStatus::Paid).await;
    eventually("the answer that can't be stored is logged", async || {
        let logged = stack.payment.log_lines().into_iter().any(|line| {
            line["order.id"] == batch.refused.to_string()
                && line["message"].as_str().is_some_and(|text| text.contains("can't be stored"))
        });
        if logged { Ok(()) } else { Err("it is not") }
    })
    .await;
    assert_eq!(
        stack.api.order(batch.refused).await.map(|order| order.status),
        Some(OrderStatus::PendingPayment)
    );

    refuse_no_more(&stack.payment_database, "payments").await;
    stack.api.order_becomes(batch.refused, OrderStatus::Paid).await;
    assert_eq!(stack.charge_count().await, i64::try_from(2 * NEIGHBOURS + 1).expect("a small number"));
}

#[tokio::test]
async fn a_step_that_cannot_be_taken_keeps_no_other_from_being_taken() {
    let stack = Stack::start().await;
    let batch = Batch::place(&stack).await;
    batch.neighbours_become(&stack, OrderStatus::Paid).await;
    stack.api.order_becomes(batch.refused, OrderStatus::Paid).await;
    // The charge was the first attempt; the refund would be the second.
    refuse(&stack.payment_database, "payments", &format!("amount = {REFUSED} AND attempts > 1")).await;
    for &id in batch.neighbours.iter().chain([&batch.refused]) {
        stack.api.cancel(id).await;
    }
    for &id in &batch.neighbours {
        stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    }
    let charge = stack.charge_of(batch.refused).await.expect("it was paid");
    assert!(!charge.refunded, "its refund is not asked for before that is stored");

    refuse_no_more(&stack.payment_database, "payments").await;
    stack.api.payment_becomes(batch.refused, PaymentStatus::Refunded).await;
}

#[tokio::test]
async fn a_deadline_that_cannot_be_stored_keeps_no_other_order_from_being_cancelled() {
    let mut stack = Stack::with().env("SAGA_TIMEOUT", "2s").start().await;
    stack.payment.stop().await;
    refuse(&stack.order_database, "orders", &format!("total = {REFUSED} AND status = 'CANCELLED'")).await;
    let batch = Batch::place(&stack).await;
    batch.neighbours_become(&stack, OrderStatus::Cancelled).await;
    assert_eq!(
        stack.api.order(batch.refused).await.map(|order| order.status),
        Some(OrderStatus::PendingPayment)
    );

    refuse_no_more(&stack.order_database, "orders").await;
    stack.api.order_becomes(batch.refused, OrderStatus::Cancelled).await;
}
