//! What is deleted after a time, and what is not.

use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use sqlx::{AssertSqlSafe, PgPool};
use tests::{Stack, eventually};
use uuid::Uuid;

#[tokio::test]
async fn timelines_of_settled_orders_and_charges_that_hold_no_money_go_after_their_time() {
    let stack = Stack::start().await;
    let (paid, declined) = (stack.api.place("10.01").await, stack.api.place("10.02").await);
    stack.api.order_becomes(paid, OrderStatus::Paid).await;
    stack.api.timeline_has(declined, EventType::OrderCancelled).await;
    stack.api.payment_becomes(declined, PaymentStatus::Declined).await;
    let recent = stack.drain_every_queue().await;
    let pending: OrderId = Uuid::now_v7().into();
    execute(
        &stack.order_database,
        &format!(
            "INSERT INTO orders (id, user_id, total, status, trace_context) VALUES ('{pending}', '{pending}', 1, 'PENDING_PAYMENT', '{{}}');
             INSERT INTO order_events (order_id, event_id, event_type, occurred_at, payload)
             VALUES ('{pending}', '{pending}', 'OrderCreated', now(), '{{}}');
             UPDATE order_events SET recorded_at = now() - interval '100 days' WHERE order_id <> '{recent}';
             UPDATE orders SET updated_at = now() - interval '100 days' WHERE id <> '{recent}'"
        ),
    )
    .await;
    execute(
        &stack.payment_database,
        &format!(
            "UPDATE payments SET created_at = now() - interval '100 days', updated_at = now() - interval '100 days'
             WHERE order_id <> '{recent}'"
        ),
    )
    .await;
    let whole = stack.api.timeline(recent).await;

    let arguments = ["prune", "--timeline", "90d", "--simulated-charges", "90d"];
    let dry =
        stack.paysaga_with(&[&arguments[..], &["--dry-run"]].concat(), stack.infrastructure_urls()).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert_eq!(rows(&dry.stdout), [("timeline entries".to_owned(), 7), ("simulated charges".to_owned(), 1)]);
    assert_eq!(stack.api.timeline(declined).await.events.len(), 4);

    let ran = stack.paysaga_with(&arguments, stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(rows(&ran.stdout), rows(&dry.stdout));
    // An order without a timeline is not an order that does not exist.
    assert_eq!(stack.api.timeline(paid).await.events, []);
    assert_eq!(stack.api.timeline(declined).await.events, []);
    assert_eq!(stack.api.timeline(pending).await.events.len(), 1);
    assert_eq!(stack.api.timeline(recent).await, whole);
    assert_eq!(count(&stack.payment_database, "provider_simulator.charges").await, 2);
    execute(&stack.order_database, &format!("DELETE FROM orders WHERE id = '{pending}'")).await;
    let checked = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");

    // What was paid can still be refunded.
    stack.api.cancel(paid).await;
    stack.api.payment_becomes(paid, PaymentStatus::Refunded).await;
}

#[tokio::test]
async fn a_service_deletes_by_itself_and_never_what_waits_for_a_decision() {
    let mut stack = Stack::with().env("RETENTION_FAILED_MESSAGES", "90d").start().await;
    execute(
        &stack.order_database,
        "INSERT INTO failed_messages (id, queue, exchange, routing_key, trace_context, headers, body, reason, status, replay_at, last_seen)
         SELECT md5(name)::uuid, 'order.create.queue', '', '', '{}', '{}', '', name, status,
                CASE WHEN status = 'REPLAYING' THEN now() + interval '1 day' END, now() - age
         FROM (VALUES ('open', 'FAILED', interval '100 days'), ('being replayed', 'REPLAYING', interval '100 days'),
                      ('replayed yesterday', 'REPLAYED', interval '100 days'), ('discarded', 'DISCARDED', interval '100 days'),
                      ('replayed', 'REPLAYED', interval '100 days'), ('recent', 'DISCARDED', interval '1 day'))
              AS new (name, status, age);
         INSERT INTO failed_message_audit (failed_message_id, action, actor, at)
         SELECT id, 'REPLAYED', 'me', now() - CASE WHEN reason = 'replayed yesterday' THEN interval '1 day' ELSE interval '99 days' END
         FROM failed_messages;
         INSERT INTO rejections (failed_message_id, reason, rejected_at)
         SELECT gen_random_uuid(), 'lost', now() - interval '1 day' * days FROM generate_series(1, 180) AS days;
         INSERT INTO replays (id, status, actor, reason, filter, canary, waves, stop_after, members, handled, causes, created_at,
                              finished_at)
         SELECT md5(name)::uuid, status, 'me', name, '{}', '{}', 1, 1, 1, handled, '[]', now() - interval '100 days', finished_at
         FROM (VALUES ('ended', 'COMPLETED', 1, now() - interval '99 days'), ('ended yesterday', 'COMPLETED', 1, now() - interval '1 day'),
                      ('held', 'PAUSED', 0, NULL)) AS new (name, status, handled, finished_at);
         INSERT INTO replay_members (replay_id, position, failed_message_id, wave, outcome, at)
         SELECT id, position, md5(CASE WHEN status = 'PAUSED' THEN 'open' ELSE 'replayed' END)::uuid, 1,
                CASE WHEN status = 'COMPLETED' THEN 'HANDLED' END, CASE WHEN status = 'COMPLETED' THEN created_at END
         FROM replays, generate_series(1, CASE WHEN reason = 'ended' THEN 1200 ELSE 1 END) AS position;
         INSERT INTO replay_decisions (replay_id, action, actor, reason) SELECT id, 'BEGUN', 'me', 'a test' FROM replays",
    )
    .await;
    stack.order.stop().await;
    stack.order.start_again().await;
    stack.order.ready().await;
    eventually("what is old is deleted", async || {
        let left = sqlx::query_scalar::<_, String>("SELECT reason FROM failed_messages ORDER BY reason");
        let left = left.fetch_all(&stack.order_database).await.expect("the database answers");
        let rejections = count(&stack.order_database, "rejections").await;
        let expected = ["being replayed", "open", "recent", "replayed yesterday"];
        if left == expected && rejections < 91 {
            Ok(())
        } else {
            Err(format!("{left:?}, {rejections} rejections"))
        }
    })
    .await;
    assert_eq!(count(&stack.order_database, "failed_message_audit").await, 6, "what operators did stays");
    eventually("a replay that has ended long ago is deleted, with all that it has", async || {
        let left = sqlx::query_scalar::<_, String>("SELECT reason FROM replays ORDER BY reason");
        let left = left.fetch_all(&stack.order_database).await.expect("the database answers");
        let members = count(&stack.order_database, "replay_members").await;
        let decisions = count(&stack.order_database, "replay_decisions").await;
        let all = (left, members, decisions);
        if all == (vec!["ended yesterday".to_owned(), "held".to_owned()], 2, 2) {
            Ok(())
        } else {
            Err(format!("{all:?}"))
        }
    })
    .await;
}

/// The records and numbers of the table that is printed.
fn rows(table: &str) -> Vec<(String, i64)> {
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, records @ .., number] = &words[..] else { return None };
        Some((records.join(" "), number.parse().ok()?))
    };
    table.lines().filter_map(row).collect()
}

async fn execute(database: &PgPool, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(database).await.expect("it can be written");
}

async fn count(database: &PgPool, table: &str) -> i64 {
    let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
    count.fetch_one(database).await.expect("the database answers")
}
