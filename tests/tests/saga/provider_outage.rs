//! A payment provider that does not answer: no outcome is assumed, calls pause for a while and are then repeated.

use contracts::{OrderStatus, PaymentStatus};
use tests::{Stack, eventually};

#[tokio::test]
async fn calls_pause_while_the_provider_does_not_answer() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "300ms").start().await;
    // The simulated provider can't answer without its table.
    let mut provider = stack.payment_database.begin().await.expect("the database answers");
    let lock = sqlx::query("LOCK TABLE provider_simulator.charges IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut *provider).await.expect("the table can be locked");
    let mut orders = Vec::new();
    for _ in 0..15 {
        orders.push(stack.api.place("10.01").await);
    }
    eventually("the circuit breaker is open", async || {
        let metrics = metrics(&stack).await;
        let open = metrics
            .lines()
            .any(|line| line.starts_with("paysaga_provider_breaker_open") && line.ends_with(" 1"));
        if open { Ok(()) } else { Err("it is closed") }
    })
    .await;
    for &id in &orders {
        let order = stack.api.order(id).await.expect("it is placed");
        assert_eq!(order.status, OrderStatus::PendingPayment, "no answer is unknown, not declined");
    }
    let payment = stack.api.payment_of(orders[0]).await.expect("there is a payment");
    assert_eq!(payment.status, PaymentStatus::Processing);
    assert!(payment.attempts > 0 && payment.last_error.is_some(), "the error is recorded: {payment:?}");
    eventually("payments of unknown outcome are counted", async || {
        let metrics = metrics(&stack).await;
        let value = metrics.lines().find_map(|line| {
            line.strip_prefix("paysaga_payments_unknown")?.rsplit(' ').next()?.parse::<u64>().ok()
        });
        if value > Some(0) { Ok(()) } else { Err(format!("{value:?}")) }
    })
    .await;
    let warnings = stack.payment.log_lines().into_iter().filter(|line| {
        line["level"] == "WARN"
            && line["message"].as_str().is_some_and(|text| text.contains("circuit breaker opened"))
    });
    assert_eq!(warnings.count(), 1, "it is logged once, not for every payment");

    provider.rollback().await.expect("the database answers");
    for id in orders {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    assert_eq!(stack.charge_count().await, 15);
}

async fn metrics(stack: &Stack) -> String {
    stack.payment.metrics().await
}
