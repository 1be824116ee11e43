//! The overview: what it counts is what happened, over all replicas and over their ends.

use std::time::Duration;

use contracts::overview::{OrderOverview, Overview};
use contracts::{OrderStatus, PaymentStatus};
use tests::{Stack, eventually};

/// What the samples of orders come to: placed, paid, cancelled, failed.
type Counted = [u64; 4];

fn counted(order: &OrderOverview) -> Counted {
    let sum = |count: fn(&contracts::overview::OrderSample) -> u64| order.samples.iter().map(count).sum();
    [
        sum(|sample| sample.placed),
        sum(|sample| sample.paid),
        sum(|sample| sample.cancelled),
        sum(|sample| sample.failed),
    ]
}

async fn overview(stack: &Stack) -> Overview {
    stack.api.read("/api/admin/overview").await
}

/// Waits until the samples come to this, and then for the ten seconds after, in which a number too many would show.
async fn comes_to(stack: &Stack, expected: Counted) -> OrderOverview {
    let found = async || {
        let order = overview(stack).await.order.ok_or_else(|| "the order service is away".to_owned())?;
        let counts = counted(&order);
        if counts == expected { Ok(order) } else { Err(format!("{counts:?}, not {expected:?}")) }
    };
    let reached = eventually("the samples come to what happened", found).await;
    eventually("the next sample is there", async || {
        let order = overview(stack).await.order.ok_or("the order service is away")?;
        if order.samples.last().map(|last| last.at) > reached.samples.last().map(|last| last.at) {
            Ok(())
        } else {
            Err("it is not")
        }
    })
    .await;
    let order = overview(stack).await.order.expect("the order service answers");
    assert_eq!(counted(&order), expected);
    order
}

/// Orders of each outcome: six paid of which one is cancelled, three declined, two failed.
async fn orders_of_each_outcome(stack: &Stack) -> Counted {
    for (total, status, count) in [
        ("10.01", OrderStatus::Paid, 6),
        ("10.02", OrderStatus::Cancelled, 3),
        ("10.03", OrderStatus::Failed, 2),
    ] {
        let mut last = None;
        for _ in 0..count {
            let id = stack.api.place(total).await;
            stack.api.order_becomes(id, status).await;
            last = Some(id);
        }
        if let Some(id) = last.filter(|_| status == OrderStatus::Paid) {
            stack.api.cancel(id).await;
            stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
        }
    }
    [11, 6, 3 + 1, 2]
}

#[tokio::test]
async fn the_samples_of_all_replicas_add_up_to_what_happened_and_outlive_them() {
    let mut stack = Stack::start().await;
    let mut second = stack.another(&stack.order, &[]).await;
    let expected = orders_of_each_outcome(&stack).await;
    let order = comes_to(&stack, expected).await;
    assert_eq!(order.waiting.replicas, 2);
    let counting = "SELECT count(DISTINCT replica) FROM samples WHERE placed + paid + cancelled + failed > 0";
    let counting = sqlx::query_scalar::<_, i64>(counting).fetch_one(&stack.order_database).await;
    assert_eq!(counting.expect("the database answers"), 2, "both replicas counted");
    assert!(order.samples.iter().all(|sample| sample.at.as_datetime().second() % 10 == 0));
    let timed = order.samples.iter().find(|sample| sample.paid > 0).expect("some were paid");
    assert!(timed.settle_p50_ms <= timed.settle_p99_ms && timed.settle_p99_ms > Some(0), "{timed:?}");
    assert_eq!((order.pending, order.oldest_pending, order.overdue), (0, None, 0));
    let queues: Vec<_> = order.waiting.queues.iter().map(|queue| (queue.messages, queue.consumers)).collect();
    assert_eq!(queues, [(0, 2); 4]);
    let payment = overview(&stack).await.payment.expect("the payment service answers");
    // Each charge, and a refund.
    let answered: u64 = payment.samples.iter().map(|sample| sample.answered).sum();
    let unanswered: u64 = payment.samples.iter().map(|sample| sample.unanswered).sum();
    assert_eq!((answered, unanswered, payment.breakers_open), (11 + 1, 0, Some(0)));

    // What they counted last is stored when they stop.
    let late = stack.api.place("10.01").await;
    stack.api.order_becomes(late, OrderStatus::Paid).await;
    for service in [&mut second, &mut stack.order, &mut stack.payment, &mut stack.gateway] {
        service.stop().await;
    }
    for service in [&mut stack.order, &mut stack.payment, &mut stack.gateway] {
        service.start_again().await;
    }
    let after = counted(&overview(&stack).await.order.expect("the order service answers"));
    assert_eq!(after, [expected[0] + 1, expected[1] + 1, expected[2], expected[3]]);

    let age = "UPDATE samples SET at = at - interval '2 hours'";
    let aged = sqlx::query(age).execute(&stack.order_database).await.expect("the database answers");
    assert!(aged.rows_affected() > 0);
    eventually("what is older than an hour is deleted", async || {
        let old = "SELECT count(*) FROM samples WHERE at < now() - interval '1 hour'";
        let old = sqlx::query_scalar::<_, i64>(old).fetch_one(&stack.order_database).await;
        match old.expect("the database answers") {
            0 => Ok(()),
            old => Err(format!("{old} are there")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_is_killed_takes_no_more_than_its_last_ten_seconds_along() {
    let mut stack = Stack::start().await;
    for _ in 0..3 {
        let id = stack.api.place("10.01").await;
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    comes_to(&stack, [3, 3, 0, 0]).await;
    stack.order.kill().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(overview(&stack).await.order, None, "what does not answer is absent");
    stack.order.start_again().await;
    for _ in 0..2 {
        let id = stack.api.place("10.01").await;
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    comes_to(&stack, [5, 5, 0, 0]).await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_seen_and_a_service_that_does_not_is_absent() {
    let mut stack = Stack::with().env("PROVIDER_TIMEOUT", "300ms").start().await;
    let mut provider = stack.payment_database.begin().await.expect("the database answers");
    let lock = sqlx::query("LOCK TABLE provider_simulator.charges IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut *provider).await.expect("the table can be locked");
    let mut orders = Vec::new();
    for _ in 0..15 {
        orders.push(stack.api.place("10.01").await);
    }
    eventually("the overview shows a provider that does not answer", async || {
        let seen = overview(&stack).await;
        let (Some(order), Some(payment)) = (seen.order, seen.payment) else {
            return Err("one is away".into());
        };
        let unanswered: u64 = payment.samples.iter().map(|sample| sample.unanswered).sum();
        let in_samples = payment.samples.last().and_then(|sample| sample.unknown);
        // Those that it was asked for before its breaker opened; a probe now and then asks for one more.
        let right = (10..=15).contains(&payment.unknown)
            && payment.breakers_open == Some(1)
            && unanswered >= 10
            && in_samples.is_some_and(|unknown| unknown >= 10)
            && order.pending == 15
            && order.oldest_pending.is_some();
        if right { Ok(()) } else { Err(format!("{payment:?}")) }
    })
    .await;
    provider.rollback().await.expect("the database answers");
    for id in orders {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    eventually("the overview shows that it answers again", async || {
        let payment = overview(&stack).await.payment.ok_or("it is away")?;
        if (payment.unknown, payment.breakers_open) == (0, Some(0)) { Ok(()) } else { Err("not yet") }
    })
    .await;

    stack.payment.stop().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = overview(&stack).await;
    assert_eq!(seen.payment, None);
    assert_eq!(counted(&seen.order.expect("the order service answers"))[0], 15);
}
