//! Many orders of every kind at once: all of them settle, and the books balance.

use std::collections::BTreeMap;

use contracts::order::Order;
use contracts::page::Page;
use contracts::payment::Payment;
use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use futures_util::future::join_all;
use sqlx::Row;
use tests::{Stack, eventually};

const ORDERS: usize = 200;

/// An order that was sent.
struct Sent {
    id: OrderId,
    cents: i64,
    cancelled: bool,
}

#[tokio::test]
async fn two_hundred_orders_at_once_all_settle_and_the_books_balance() {
    let stack = Stack::with().env("PROVIDER_APPROVAL_RATE", "0.7").env("PROVIDER_SEED", "3").start().await;
    let mut tap = stack.amqp.tap().await;
    let sent = join_all((0..ORDERS).map(|number| send(&stack, number))).await;

    let orders: Vec<Order> =
        all(&stack, "/api/orders", |order: &Order| order.status != OrderStatus::PendingPayment).await;
    let payments: Vec<Payment> = all(&stack, "/api/payments", |payment: &Payment| {
        // An approved payment of a cancelled order is refunded later: refunds_are_done waits for it.
        payment.status != PaymentStatus::Processing
    })
    .await;
    stack.outboxes_empty().await;
    refunds_are_done(&stack, &orders).await;
    stack.outboxes_empty().await;
    stack.amqp.all_queues_empty().await;

    let mut by_status: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let (mut paid, mut cancelled_after_all) = (0, 0);
    for sent in &sent {
        let order = orders.iter().find(|order| order.id == sent.id).expect("it was placed");
        assert_eq!(cents(&order.total.to_string()), sent.cents);
        let payment = stack.api.payment_of(sent.id).await;
        let Some(payment) = payment else {
            assert!(
                sent.cancelled,
                "only a cancellation that came first keeps the payment from being: {order:?}"
            );
            assert_eq!(order.status, OrderStatus::Cancelled);
            continue;
        };
        fits(sent, order, &payment);
        assert_eq!(cents(&payment.amount.to_string()), sent.cents);
        let entry = by_status.entry(payment.status.to_string()).or_default();
        *entry = (entry.0 + 1, entry.1 + sent.cents);
        paid += if order.status == OrderStatus::Paid { sent.cents } else { 0 };
        cancelled_after_all += u32::from(sent.cancelled && order.status == OrderStatus::Cancelled);
    }
    assert!(cancelled_after_all > 0, "some were cancelled at once");
    assert!(payments.len() <= ORDERS);

    let stats: BTreeMap<_, _> = stack
        .api
        .stats()
        .await
        .by_status
        .into_iter()
        .map(|stats| (stats.status.to_string(), (stats.count, cents(&stats.total_amount.to_string()))))
        .collect();
    assert_eq!(stats, by_status);
    assert_eq!(total(&stack, "/api/orders").await, ORDERS as u64);
    assert_eq!(total(&stack, "/api/payments").await, by_status.values().map(|(count, _)| count).sum::<u64>());
    the_tables_agree(&stack, &orders, &by_status).await;
    books_balance(&stack, paid).await;

    // No payment has two results.
    let mut results = BTreeMap::new();
    for message in tap.all().await {
        let envelope = message.envelope();
        let event_type = envelope.event.event_type();
        if matches!(
            event_type,
            EventType::PaymentApproved | EventType::PaymentDeclined | EventType::PaymentFailed
        ) {
            *results.entry(envelope.order_id()).or_insert(0) += 1;
        }
    }
    assert!(results.values().all(|count| *count == 1), "{results:?}");
}

/// Places the order number `number`: amounts of every kind, each fifth one cancelled as soon as it is accepted.
async fn send(stack: &Stack, number: usize) -> Sent {
    let number = i64::try_from(number).expect("a small number");
    // .01 .02 .03 force an outcome; 50 and more leave it to the seed.
    let cents =
        (number + 1) * 700 + [1, 2, 3, 50 + number % 50][usize::try_from(number % 4).expect("0 to 3")];
    let id = stack.api.place(&format!("{}.{:02}", cents / 100, cents % 100)).await;
    let cancelled = number % 5 == 0;
    if cancelled {
        stack.api.cancel(id).await;
    }
    Sent { id, cents, cancelled }
}

/// Everything in a list, once every order is in it and all items fit.
async fn all<T>(stack: &Stack, path: &str, fits: impl Fn(&T) -> bool) -> Vec<T>
where
    T: serde::de::DeserializeOwned,
{
    eventually(&format!("all of {path} are finished"), async || {
        let mut items: Vec<T> = Vec::new();
        for page in 1..=ORDERS.div_ceil(100) {
            items.extend(stack.api.read::<Page<T>>(&format!("{path}?page={page}&limit=100")).await.data);
        }
        let finished = items.iter().filter(|item| fits(item)).count();
        let enough = path != "/api/orders" || items.len() == ORDERS;
        if enough && finished == items.len() { Ok(items) } else { Err(format!("{finished} are")) }
    })
    .await
}

/// Waits until no cancelled order has a payment that is still approved.
async fn refunds_are_done(stack: &Stack, orders: &[Order]) {
    for order in orders.iter().filter(|order| order.status == OrderStatus::Cancelled) {
        eventually(&format!("the money of {} is back", order.id), async || {
            let payment = stack.api.payment_of(order.id).await;
            let open = payment.filter(|payment| !payment.status.is_final());
            open.map_or(Ok(()), |payment| Err(format!("{payment:?}")))
        })
        .await;
    }
}

/// Checks a settled order against the contract's table of states.
fn fits(sent: &Sent, order: &Order, payment: &Payment) {
    use OrderStatus::{Cancelled, Failed, Paid};
    use PaymentStatus::{Approved, Declined, Refunded};

    let allowed = match (order.status, payment.status) {
        (Paid, Approved) | (Failed, PaymentStatus::Failed) => !sent.cancelled || order.status == Failed,
        (Cancelled, Declined) => true,
        (Cancelled, Refunded | PaymentStatus::Cancelled | PaymentStatus::Failed) => sent.cancelled,
        _ => false,
    };
    let forced = match sent.cents % 100 {
        1 => !matches!(payment.status, Declined | PaymentStatus::Failed),
        2 => !matches!(payment.status, Approved | Refunded | PaymentStatus::Failed),
        3 => !matches!(payment.status, Approved | Refunded | Declined),
        _ => true,
    };
    assert!(allowed && forced, "{} cents: {order:?} {payment:?}", sent.cents);
}

/// The tables hold what the services answer.
async fn the_tables_agree(stack: &Stack, orders: &[Order], payments: &BTreeMap<String, (u64, i64)>) {
    let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
    for order in orders {
        *by_status.entry(order.status.to_string()).or_default() += 1;
    }
    let stored =
        sqlx::query_as::<_, (String, i64)>("SELECT status, count(DISTINCT id) FROM orders GROUP BY status");
    let stored = stored.fetch_all(&stack.order_database).await.expect("the database answers");
    let stored = stored.into_iter().map(|(status, count)| (status, count.unsigned_abs()));
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), by_status);
    let stored = sqlx::query_as::<_, (String, i64)>(
        "SELECT status, count(DISTINCT order_id) FROM payments GROUP BY status",
    );
    let stored = stored.fetch_all(&stack.payment_database).await.expect("the database answers");
    let stored = stored.into_iter().map(|(status, count)| (status, count.unsigned_abs()));
    let expected = payments.iter().map(|(status, (count, _))| (status.clone(), *count));
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), expected.collect());
}

/// The provider has exactly the money of the orders that are paid.
async fn books_balance(stack: &Stack, paid: i64) {
    let books = sqlx::query(
        "SELECT (coalesce(sum(amount) FILTER (WHERE outcome = 'APPROVED' AND refunded_at IS NULL), 0) * 100)::bigint AS kept,
                count(*) FILTER (WHERE outcome <> 'APPROVED' AND refunded_at IS NOT NULL) AS wrongly_refunded,
                count(*) AS charges
         FROM provider_simulator.charges",
    );
    let books = books.fetch_one(&stack.payment_database).await.expect("the database answers");
    assert_eq!(books.get::<i64, _>("kept"), paid);
    assert_eq!(books.get::<i64, _>("wrongly_refunded"), 0);
    assert!(books.get::<i64, _>("charges") <= i64::try_from(ORDERS).expect("a small number"));
}

async fn total(stack: &Stack, path: &str) -> u64 {
    stack.api.read::<Page<serde_json::Value>>(path).await.meta.total
}

/// An amount in whole cents.
fn cents(amount: &str) -> i64 {
    let (units, cents) = amount.split_once('.').unwrap_or((amount, "0"));
    let cents = format!("{cents:0<2}");
    units.parse::<i64>().expect("digits") * 100 + cents.parse::<i64>().expect("two digits")
}
