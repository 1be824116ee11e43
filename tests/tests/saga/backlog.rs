//! A long outbox and a full queue: the rows for the full queue stay in the outbox and do not delay the others.

use contracts::topology::Queue;
use contracts::{EventType, OrderStatus, PaymentStatus};
use sqlx::types::Uuid;
use tests::{Stack, eventually};

const ROWS: u32 = 5000;

/// Rows that repeat `OrderCreated` for existing orders.
const FILL: &str = r#"
    INSERT INTO outbox (event_id, event_type, order_id, trace_context, body, created_at)
    SELECT event_id, 'OrderCreated', id, '{}',
           format('{"eventType":"OrderCreated","eventId":"%s","occurredAt":"2026-01-02T03:04:05.678Z","payload":{"orderId":"%s","userId":"%s","total":%s}}',
                  event_id, id, user_id, total),
           now() - interval '1 hour'
    FROM orders, (SELECT gen_random_uuid() AS event_id FROM generate_series(1, $1)) AS events"#;

/// A row for another queue, behind all of them.
const LAST: &str = r#"
    INSERT INTO outbox (event_id, event_type, order_id, trace_context, body, created_at)
    VALUES ('ffffffff-ffff-7fff-bfff-ffffffffffff', 'OrderCancelled', $1, '{}',
            format('{"eventType":"OrderCancelled","eventId":"ffffffff-ffff-7fff-bfff-ffffffffffff","occurredAt":"2026-01-02T03:04:05.678Z","payload":{"orderId":"%s","reason":"USER_REQUESTED","cancelledAt":"2026-01-02T03:04:05.678Z"}}', $1),
            now() - interval '1 hour')"#;

#[tokio::test]
async fn a_backlog_for_a_full_queue_does_not_delay_other_messages() {
    let mut stack = Stack::start().await;
    let first = stack.api.place("10.01").await;
    stack.api.order_becomes(first, OrderStatus::Paid).await;
    stack.outboxes_empty().await;
    let mut tap = stack.amqp.tap().await;
    assert!(stack.payment.stop().await.success());
    let filled = sqlx::query(FILL).bind(i64::from(ROWS)).execute(&stack.order_database).await;
    assert_eq!(filled.expect("it can be filled").rows_affected(), u64::from(ROWS));
    let other = Uuid::new_v4();
    let last = sqlx::query(LAST).bind(other).execute(&stack.order_database).await;
    last.expect("it can be filled");

    // The row for a queue that has room is published, although those before it can't be.
    tap.wait_for(EventType::OrderCancelled, other.into()).await;
    let waiting = stack.amqp.depth(Queue::PaymentOrderCreated.name()).await;
    assert!((600..1600).contains(&waiting), "{waiting} messages are in the queue");
    // Nor does the backlog delay a new order.
    let new = stack.api.place("10.01").await;
    tap.wait_for(EventType::OrderCreated, new).await;
    assert!(outbox(&stack).await > i64::from(ROWS) - 1600);

    stack.payment.start_again().await;
    stack.api.payment_becomes(new, PaymentStatus::Approved).await;
    eventually("the outbox is empty", async || match outbox(&stack).await {
        0 => Ok(()),
        left => Err(format!("{left} rows are left")),
    })
    .await;
    stack.amqp.all_queues_empty().await;
    assert_eq!(stack.charge_count().await, 2);
}

async fn outbox(stack: &Stack) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&stack.order_database).await;
    count.expect("the database answers")
}
