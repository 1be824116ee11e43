//! Time has no holes: what a saga waited for is in its trace.

use std::time::Duration;

use contracts::{OrderStatus, PaymentStatus};
use serde_json::json;
use tests::api::{accepted, order};
use tests::otlp::{Collector, Span};
use tests::{Stack, eventually};

use super::tracing::{stop, trace_of, traced};

#[tokio::test]
async fn a_lock_that_is_waited_for_and_the_retry_after_it_are_in_the_trace() {
    let (collector, stack) = traced(Stack::with()).await;
    let placed = stack.api.post(order("10.03")).await;
    let failed = accepted(placed).await;
    stack.api.order_becomes(failed, OrderStatus::Failed).await;
    // Another transaction works on the order for longer than a lock is waited for.
    let mut other = stack.order_database.begin().await.expect("the database answers");
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))");
    lock.bind(failed.to_string()).execute(&mut *other).await.expect("it can be locked");
    let cancelled = stack.api.patch(&format!("/api/orders/{failed}/cancel"), "").await;
    let trace_id = trace_of(&cancelled);
    eventually("the transaction is tried again", async || {
        let metrics = stack.order.metrics().await;
        let never = r#"paysaga_transaction_retries_total{kind="locked"} 0"#;
        let tried = metrics.lines().all(|line| line != never);
        if tried { Ok(()) } else { Err("not yet") }
    })
    .await;
    other.rollback().await.expect("the database answers");
    stack.drain_every_queue().await;
    stop(stack).await;

    // It waited for as long as a lock is waited for, and once more.
    let transaction = named(&collector, &trace_id, "transaction");
    let spans = collector.trace(&trace_id);
    let mut waits = spans.iter().filter(|span| span.name == "wait: lock" && span.parent == transaction.id);
    assert!(waits.any(|wait| wait.duration > Duration::from_secs(3)), "{spans:#?}");
    let retries = transaction.events.iter().filter(|(name, _)| name == "transaction tried again");
    let codes: Vec<_> =
        retries.map(|(_, attributes)| attributes["db.response.status_code"].clone()).collect();
    assert!(codes.contains(&json!("55P03")), "{transaction:#?}");
    assert!(transaction.duration > Duration::from_secs(3), "{transaction:#?}");
}

#[tokio::test]
async fn the_way_to_a_service_that_was_away_is_in_the_trace() {
    let (collector, mut stack) = traced(Stack::with()).await;
    assert!(stack.payment.stop().await.success());
    let placed = stack.api.post(order("10.01")).await;
    let (trace_id, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    stack.payment.start_again().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stop(stack).await;

    let waits = collector.trace(&trace_id);
    let publish = named(&collector, &trace_id, "publish orders.exchange:order.created");
    let wait = waits.iter().find(|span| span.parent == publish.id && span.name == "wait: outbox and queue");
    let wait = wait.unwrap_or_else(|| panic!("it waited: {waits:#?}"));
    assert_eq!(wait.service, "payment");
    assert!(wait.duration > Duration::from_millis(50), "{wait:#?}");
}

#[tokio::test]
async fn a_call_after_the_lease_of_a_dead_replica_and_one_after_a_pause_say_so() {
    let (collector, mut stack) = traced(Stack::with().env("PROVIDER_TIMEOUT", "1s")).await;
    let provider = stack.block_provider().await;
    let placed = stack.api.post(order("10.01")).await;
    let (orphaned, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.charge_begins(id).await;
    stack.payment.kill().await;
    stack.payment.start_again().await;
    provider.release().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;

    let provider = stack.block_provider().await;
    let placed = stack.api.post(order("10.01")).await;
    let (unanswered, id) = (trace_of(&placed), accepted(placed).await);
    stack.api.call_is_unanswered(id).await;
    provider.release().await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let cancelled = stack.api.patch(&format!("/api/orders/{id}/cancel"), "").await;
    let refunded = trace_of(&cancelled);
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
    stop(stack).await;

    for (trace_id, call, reason) in [
        (&orphaned, "lookup", "lease_lapsed"),
        (&unanswered, "charge", "new"),
        (&unanswered, "lookup", "retry"),
        (&refunded, "refund", "new"),
    ] {
        let call = named(&collector, trace_id, call);
        assert_eq!(call.attributes.get("payment.call_reason"), Some(&json!(reason)), "{call:#?}");
    }
}

/// The first span of a trace that has this name.
fn named(collector: &Collector, trace_id: &str, name: &str) -> Span {
    let spans = collector.trace(trace_id);
    let span = spans.iter().find(|span| span.name == name).cloned();
    span.unwrap_or_else(|| panic!("there is no {name}: {spans:#?}"))
}
