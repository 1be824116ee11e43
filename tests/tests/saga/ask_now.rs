//! An operator who knows that the provider is back need not wait for the next attempt.

use contracts::ask_now::AskNowAccepted;
use contracts::{OrderId, OrderStatus, PaymentStatus, ProblemType};
use http::{Method, StatusCode};
use reqwest::Response;
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use tests::api::{UNKNOWN_ID, problem, refused};
use tests::api_keys::{KeyFile, OPERATOR, SHOP};
use tests::{Stack, eventually};

use crate::audit_records::stored_are;
use crate::diagnosis::of_payment;

async fn ask_now(stack: &Stack, order: impl ToString, body: Value) -> Response {
    let path = format!("/api/admin/payment/orders/{}/ask-now", order.to_string());
    stack.api.request(Method::POST, &path).json(&body).send().await.expect("the gateway answers")
}

fn because() -> Value {
    json!({"reason": "the provider says that it is back"})
}

/// Why it is refused.
async fn refusal(stack: &Stack, order: OrderId) -> String {
    let response = ask_now(stack, order, because()).await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let problem = problem(response).await;
    assert_eq!(problem.type_uri, ProblemType::StateConflict.uri());
    problem.detail
}

/// A provider that does not even look charges up.
async fn silence_provider(stack: &Stack) -> Transaction<'static, Postgres> {
    let mut silence = stack.payment_database.begin().await.expect("the database answers");
    let lock = sqlx::query("LOCK TABLE provider_simulator.charges IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut *silence).await.expect("the table can be locked");
    silence
}

/// Waits until the next attempt does, and lets it wait for five minutes.
async fn attempt_is_minutes_away(stack: &Stack, id: OrderId) {
    eventually("the next attempt waits", async || {
        let later = sqlx::query(
            "UPDATE payments SET due_at = now() + interval '5 min'
             WHERE order_id = $1 AND step_reason = 'retry' AND due_at > now()",
        );
        let later = later.bind(id.as_uuid()).execute(&stack.payment_database).await;
        match later.expect("the database answers").rows_affected() {
            1 => Ok(()),
            _ => Err(format!("{:?}", of_payment(stack, id).await)),
        }
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_is_minutes_away_is_made_at_once_and_is_on_record() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "2s").start().await;
    // The charge is made, its answer is lost, and then there are none.
    let id = stack.api.place("10.04").await;
    eventually("it is charged", async || stack.charge_of(id).await.ok_or("it is not")).await;
    let silence = silence_provider(&stack).await;
    attempt_is_minutes_away(&stack, id).await;
    silence.rollback().await.expect("the database answers");
    let response = ask_now(&stack, id, because()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let accepted: AskNowAccepted = response.json().await.expect("the contract's shape");
    assert_eq!(accepted, AskNowAccepted { order_id: id, is_breaker_open: false });
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    assert_eq!(stack.charge_count().await, 1);
    let reasons = stack.payment.log_lines();
    let decided = reasons.iter().find(|line| line["message"] == "an operator decided about a payment");
    assert_eq!(decided.expect("it is logged")["decided"], "asknow");
    let path = format!("POST /api/admin/payment/orders/{id}/ask-now");
    let records = stored_are(&stack, 1).await;
    let shown = format!("{records:?}");
    assert!(
        shown.contains("ADMIN_WRITE")
            && shown.contains(&path)
            && shown.contains("Some(202)")
            && shown.contains("the provider says that it is back"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_refund_that_waits_for_its_next_attempt_is_asked_for_at_once() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "300ms").start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let silence = silence_provider(&stack).await;
    stack.api.cancel(id).await;
    attempt_is_minutes_away(&stack, id).await;
    silence.rollback().await.expect("the database answers");
    assert_eq!(ask_now(&stack, id, because()).await.status(), StatusCode::ACCEPTED);
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;
}

#[tokio::test]
async fn an_open_breaker_still_holds_it_back_and_the_answer_says_so() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "300ms").start().await;
    let silence = silence_provider(&stack).await;
    let mut orders = Vec::new();
    for _ in 0..12 {
        orders.push(stack.api.place("10.01").await);
    }
    eventually("the breaker is open", async || {
        let diagnosis = of_payment(&stack, orders[0]).await;
        if diagnosis.is_breaker_open { Ok(()) } else { Err(format!("{diagnosis:?}")) }
    })
    .await;
    attempt_is_minutes_away(&stack, orders[0]).await;
    let response = ask_now(&stack, orders[0], because()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert!(response.json::<AskNowAccepted>().await.expect("the contract's shape").is_breaker_open);
    silence.rollback().await.expect("the database answers");
    for &id in &orders {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    assert_eq!(stack.charge_count().await, 12);
}

#[tokio::test]
async fn what_is_in_hand_or_settled_or_decided_about_elsewhere_is_not_asked() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "1min").start().await;
    let refund = stack.api.place("10.06").await;
    stack.api.order_becomes(refund, OrderStatus::Paid).await;
    assert_eq!(refusal(&stack, refund).await, "There is nothing to ask the provider about this payment.");
    stack.api.cancel(refund).await;
    eventually("the refund is refused", async || {
        let diagnosis = of_payment(&stack, refund).await;
        if diagnosis.refund_refusal.is_some() { Ok(()) } else { Err(format!("{diagnosis:?}")) }
    })
    .await;
    assert!(refusal(&stack, refund).await.contains("`paysaga refunds`"));
    let provider = stack.block_provider().await;
    let slow = stack.api.place("10.01").await;
    stack.api.charge_begins(slow).await;
    assert!(refusal(&stack, slow).await.starts_with("A replica is asking the provider right now"));
    provider.release().await;
    stack.api.order_becomes(slow, OrderStatus::Paid).await;
    assert_eq!(stack.api.payment_of(slow).await.map(|payment| payment.attempts), Some(1));
}

#[tokio::test]
async fn what_is_no_decision_is_refused() {
    let keys = KeyFile::of(&[SHOP, OPERATOR]);
    let mut stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let stranger = stack.api.with_key(SHOP);
    stack.api = stack.api.with_key(OPERATOR);
    assert_eq!(ask_now(&stack, UNKNOWN_ID, because()).await.status(), StatusCode::NOT_FOUND);
    for (body, member) in
        [(json!({}), ""), (json!({"reason": " "}), "reason"), (json!({"reason": "r", "amount": 1}), "")]
    {
        let response = ask_now(&stack, UNKNOWN_ID, body).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, "ask now").await, [member]);
    }
    stack.api = stranger;
    assert_eq!(ask_now(&stack, UNKNOWN_ID, because()).await.status(), StatusCode::FORBIDDEN);
}
