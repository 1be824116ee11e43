//! Where an order waits: each service says what it knows, for operators.

use contracts::diagnosis::{OrderDiagnosis, PaymentDiagnosis};
use contracts::event::PaymentApproved;
use contracts::topology::Queue;
use contracts::{Envelope, EventType, OrderId, OrderStatus, PaymentStatus, Timestamp};
use tests::api::{accepted, order};
use tests::{Stack, eventually};

pub(crate) async fn of_order(stack: &Stack, id: OrderId) -> OrderDiagnosis {
    stack.order.read(&format!("/orders/{id}/diagnosis")).await
}

pub(crate) async fn of_payment(stack: &Stack, id: OrderId) -> PaymentDiagnosis {
    stack.payment.read(&format!("/payments/order/{id}/diagnosis")).await
}

#[tokio::test]
async fn nothing_is_known_of_an_order_that_has_not_come() {
    let stack = Stack::start().await;
    let id = OrderId::new();
    assert_eq!(of_order(&stack, id).await, OrderDiagnosis::default());
    assert_eq!(of_payment(&stack, id).await, PaymentDiagnosis::default());
    stack.api.cancel(id).await;
    eventually("its cancellation is known", async || {
        let diagnosis = of_order(&stack, id).await;
        if diagnosis.is_cancelled_early { Ok(()) } else { Err(format!("{diagnosis:?}")) }
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_done_waits_for_nothing() {
    let stack = Stack::start().await;
    let request = stack.api.post_order(order("10.01")).header("x-correlation-id", "shop-1");
    let id = accepted(request.send().await.expect("an answer")).await;
    let paid = stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.outboxes_empty().await;
    let OrderDiagnosis { order, correlation_id, trace_id, .. } = of_order(&stack, id).await;
    assert_eq!((order, correlation_id.as_deref()), (Some(paid), Some("shop-1")));
    assert_eq!(trace_id.map(|id| id.len()), Some(32));
    let rest =
        OrderDiagnosis { order: None, correlation_id: None, trace_id: None, ..of_order(&stack, id).await };
    assert_eq!(rest, OrderDiagnosis::default());
    let payment = of_payment(&stack, id).await;
    assert_eq!(payment.payment, stack.api.payment_of(id).await);
    assert_eq!((payment.next_step, payment.is_breaker_open, payment.outbox.len()), (None, false, 0));
    assert!(payment.expires_at.is_some());
}

#[tokio::test]
async fn a_call_in_hand_has_a_lease_and_one_that_brought_nothing_a_pause() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "2s").start().await;
    let provider = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.charge_begins(id).await;
    let in_hand = of_payment(&stack, id).await.next_step.expect("it is looked up if no answer comes");
    assert_eq!((&*in_hand.step, in_hand.reason.as_deref()), ("LOOKUP", Some("lease_lapsed")));
    assert!(in_hand.due_at > Timestamp::now());
    eventually("it waits for the next attempt", async || {
        let diagnosis = of_payment(&stack, id).await;
        let next = diagnosis.next_step.clone().expect("there is a next step");
        let waits = next.reason.as_deref() == Some("retry") && next.due_at > Timestamp::now();
        let has_error = diagnosis.payment.as_ref().is_some_and(|payment| payment.last_error.is_some());
        if waits && has_error { Ok(()) } else { Err(format!("{diagnosis:?}")) }
    })
    .await;
    stack.api.cancel(id).await;
    eventually("its cancellation is known", async || {
        let diagnosis = of_payment(&stack, id).await;
        if diagnosis.is_cancel_requested { Ok(()) } else { Err(format!("{diagnosis:?}")) }
    })
    .await;
    provider.release().await;
}

#[tokio::test]
async fn a_refund_that_the_provider_refused_waits_for_a_decision() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.06").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.cancel(id).await;
    eventually("it is refused", async || {
        let diagnosis = of_payment(&stack, id).await;
        let refused = diagnosis.refund_refusal.is_some() && diagnosis.refund_owed_since.is_some();
        if refused && diagnosis.next_step.is_none() { Ok(()) } else { Err(format!("{diagnosis:?}")) }
    })
    .await;
}

#[tokio::test]
async fn without_a_payment_service_an_order_waits_for_its_deadline_and_is_cancelled_then() {
    let mut stack = Stack::with().env("SAGA_TIMEOUT", "3s").start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    let placed = stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let deadline = of_order(&stack, id).await.deadline.expect("it waits");
    assert!(deadline >= placed.created_at + std::time::Duration::from_secs(3), "{deadline} {placed:?}");
    let cancelled = stack.api.order_becomes(id, OrderStatus::Cancelled).await;
    let late = (cancelled.updated_at.as_datetime() - deadline.as_datetime()).as_seconds_f64();
    assert!((0.0..5.0).contains(&late), "cancelled {late} s after its deadline");
    assert_eq!(of_order(&stack, id).await.deadline, None);
    stack.payment.start_again().await;
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
}

/// Results were heard for five minutes while it waited, then not for ten, then for half an hour.
#[tokio::test]
async fn time_in_which_no_result_could_be_heard_prolongs_the_deadline() {
    let mut stack = Stack::start().await;
    stack.payment.stop().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let execute = async |statement: &'static str| {
        sqlx::query(statement).execute(&stack.order_database).await.expect("the database answers");
    };
    execute("UPDATE orders SET created_at = '2026-01-01 00:05Z'").await;
    // It is not cancelled before it was asked about: its row is locked.
    let mut locked = stack.order_database.begin().await.expect("the database answers");
    sqlx::query("SELECT FROM orders FOR UPDATE").execute(&mut *locked).await.expect("the database answers");
    execute(
        "INSERT INTO listening VALUES ('2026-01-01 00:00Z', '2026-01-01 00:10Z'), ('2026-01-01 00:20Z', '2026-01-01 00:50Z')",
    )
    .await;
    let deadline = of_order(&stack, id).await.deadline;
    assert_eq!(deadline.map(|at| at.to_string()).as_deref(), Some("2026-01-01T00:30:00.000Z"));
    // It is long past, and the order is cancelled as soon as it can be.
    locked.rollback().await.expect("the database answers");
    stack.api.order_becomes(id, OrderStatus::Cancelled).await;
}

#[tokio::test]
async fn an_event_that_the_broker_does_not_take_is_in_the_outbox() {
    let stack = Stack::start().await;
    stack.amqp.unbind(EventType::OrderCreated).await;
    let id = stack.api.place("10.01").await;
    let waiting = eventually("its event waits", async || {
        let diagnosis = of_order(&stack, id).await;
        if diagnosis.outbox.is_empty() { Err(format!("{diagnosis:?}")) } else { Ok(diagnosis) }
    })
    .await;
    assert_eq!(waiting.outbox.len(), 1);
    assert_eq!(waiting.outbox[0].event_type, EventType::OrderCreated.to_string());
    assert!(waiting.deadline.is_some());
    assert_eq!(of_payment(&stack, id).await, PaymentDiagnosis::default());
}

#[tokio::test]
async fn a_message_about_it_that_failed_is_shown() {
    let stack = Stack::start().await;
    let (id, another) = (OrderId::new(), OrderId::new());
    for order_id in [id, another] {
        let approved = PaymentApproved { order_id, transaction_id: "t-1".to_owned() };
        stack.amqp.publish_event(&Envelope::now(approved, None)).await;
    }
    let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, 2).await;
    let shown = of_order(&stack, id).await.failed_messages;
    assert_eq!(shown.len(), 1);
    assert!(failed.contains(&shown[0]));
    let details = stack.api.failed_message(Queue::OrderPaymentResult, shown[0].id).await;
    assert!(details.body.contains(&id.to_string()), "{details:?}");
}
