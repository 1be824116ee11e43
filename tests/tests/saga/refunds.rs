//! Refunds that do not succeed: an operator sees them, and decides.

use contracts::page::Page;
use contracts::refund::{Refund, RefundAction, RefundDetails, RefundStatus};
use contracts::{EventType, OrderId, OrderStatus, PaymentId, PaymentStatus};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::api::{UNKNOWN_ID, problem, refused};
use tests::api_keys::{KeyFile, SHOP};
use tests::programs::environment;
use tests::{Stack, eventually};

const PATH: &str = "/api/admin/payment/refunds";

/// A paid order whose cancellation the provider does not refund; the total forces that.
async fn refused_refund(stack: &Stack, total: &str) -> (OrderId, PaymentId) {
    let id = stack.api.place(total).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.cancel(id).await;
    let payment = PaymentId::of_order(id);
    eventually(&format!("the refund of {id} is refused"), async || {
        let refunds = refunds(stack, "?status=REFUSED").await;
        if refunds.iter().any(|refund| refund.payment_id == payment) {
            Ok(())
        } else {
            Err(format!("{refunds:?}"))
        }
    })
    .await;
    (id, payment)
}

async fn refunds(stack: &Stack, query: &str) -> Vec<Refund> {
    stack.api.read::<Page<Refund>>(&format!("{PATH}{query}")).await.data
}

async fn decide(stack: &Stack, id: PaymentId, decision: &str, body: Value) -> reqwest::Response {
    let request = stack.api.request(Method::POST, &format!("{PATH}/{id}/{decision}")).json(&body);
    request.send().await.expect("the gateway answers")
}

#[tokio::test]
async fn a_refused_refund_is_visible_and_an_operator_settles_it() {
    let stack = Stack::start().await;
    let (order, payment) = refused_refund(&stack, "10.06").await;
    let listed = refunds(&stack, "").await.remove(0);
    assert_eq!(
        (listed.order_id, listed.status, listed.payment_status, listed.attempts),
        (order, RefundStatus::Refused, PaymentStatus::Approved, 2)
    );
    assert_eq!(listed.reason.as_deref(), Some("the customer's account is closed"));
    assert!(refunds(&stack, "?status=OPEN").await.is_empty());
    eventually("it is counted", async || {
        let metrics = stack.payment.metrics().await;
        let counted =
            metrics.lines().any(|line| line.starts_with("paysaga_refunds_refused") && line.ends_with(" 1"));
        if counted { Ok(()) } else { Err("it is not") }
    })
    .await;
    for environment in [tests::programs::Environment::new(), stack.infrastructure_urls()] {
        let ran = stack.paysaga_with(&["check"], environment).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("no-money-held") && ran.stdout.contains("paysaga refunds"), "{ran:?}");
    }

    // Asked again, the provider means it.
    let id = payment.to_string();
    let ran = stack.paysaga(&["refunds", "retry", &id, "--note", "asked the provider by phone"]).await;
    assert_eq!(ran.stdout, format!("the provider is asked once more to refund {id}\n"), "{ran:?}");
    eventually("it is refused again", async || {
        let refunds = refunds(&stack, "?status=REFUSED").await;
        if refunds.first().is_some_and(|refund| refund.attempts == 3) {
            Ok(())
        } else {
            Err(format!("{refunds:?}"))
        }
    })
    .await;

    let settle =
        ["refunds", "settle", &id, "--reference", "bank transfer 4711", "--note", "the card is closed"];
    let ran = stack.paysaga(&settle).await;
    assert_eq!(ran.stdout, format!("{id} is refunded, by bank transfer 4711\n"), "{ran:?}");
    stack.api.payment_becomes(order, PaymentStatus::Refunded).await;
    stack.api.timeline_has(order, EventType::PaymentRefunded).await;
    assert!(refunds(&stack, "").await.is_empty());
    assert!(!stack.charge_of(order).await.expect("it was charged").refunded, "not by the provider");

    let details: RefundDetails = stack.api.read(&format!("{PATH}/{id}")).await;
    assert_eq!(details.refund.status, RefundStatus::Done);
    let audit: Vec<_> = details.audit.iter().map(|entry| (entry.action, entry.actor.as_str())).collect();
    assert_eq!(
        audit,
        [
            (RefundAction::Refused, "provider"),
            (RefundAction::RetryRequested, "anonymous"),
            (RefundAction::Refused, "provider"),
            (RefundAction::Settled, "anonymous")
        ]
    );
    assert_eq!(details.audit[3].reference.as_deref(), Some("bank transfer 4711"));
    assert_eq!(details.audit[3].note, "the card is closed");
    let ran = stack.paysaga(&settle).await;
    assert!(ran.stderr.contains("409 Conflict"), "{ran:?}");
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;
    let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_refused_refund_is_made_when_the_provider_is_asked_once_more() {
    let stack = Stack::start().await;
    let (order, payment) = refused_refund(&stack, "10.07").await;
    let later =
        "UPDATE provider_simulator.charges SET refund_refused_at = refund_refused_at - interval '1 minute'";
    sqlx::query(later).execute(&stack.payment_database).await.expect("the database answers");
    let response = decide(&stack, payment, "retry", json!({"note": "the account is open again"})).await;
    assert_eq!(response.status(), StatusCode::OK);
    let details: RefundDetails = response.json().await.expect("the contract's shape");
    assert_eq!(details.audit.len(), 2);
    stack.api.payment_becomes(order, PaymentStatus::Refunded).await;
    assert!(stack.charge_of(order).await.expect("it was charged").refunded);
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;
    let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_decision_that_is_not_possible_changes_nothing_and_says_why() {
    let stack = Stack::start().await;
    let paid = stack.api.place("10.01").await;
    stack.api.order_becomes(paid, OrderStatus::Paid).await;
    let refunded = stack.drain_every_queue().await;
    let (_, open) = refused_refund(&stack, "10.06").await;

    let note = json!({"note": "n"});
    let settlement = json!({"reference": "r", "note": "n"});
    for (id, status) in [
        (
            UNKNOWN_ID.parse().map(|id: uuid::Uuid| PaymentId::from(id)).expect("a UUID"),
            StatusCode::NOT_FOUND,
        ),
        (PaymentId::of_order(paid), StatusCode::NOT_FOUND),
        (PaymentId::of_order(refunded), StatusCode::CONFLICT),
    ] {
        for (decision, body) in [("retry", &note), ("settle", &settlement)] {
            let response = decide(&stack, id, decision, body.clone()).await;
            assert_eq!(response.status(), status, "{decision}");
            problem(response).await;
        }
    }
    for (decision, body, member) in [
        ("retry", json!({"note": " "}), "note"),
        ("settle", json!({"reference": "", "note": "n"}), "reference"),
        ("settle", json!({"reference": "r", "note": "x".repeat(1001)}), "note"),
        ("settle", json!({"reference": "r"}), ""),
        ("retry", json!({"note": "n", "amount": 1}), ""),
    ] {
        let response = decide(&stack, open, decision, body).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, decision).await, [member]);
    }
    let response = stack.api.get(&format!("{PATH}?status=DONE")).await;
    assert_eq!(refused(response, StatusCode::BAD_REQUEST, "status").await, ["status"]);
    let details: RefundDetails = stack.api.read(&format!("{PATH}/{open}")).await;
    assert_eq!((details.refund.status, details.audit.len()), (RefundStatus::Refused, 1));
}

#[tokio::test]
async fn only_operators_see_refunds_and_decide() {
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let key = environment(&[("PAYSAGA_API_KEY_FILE", &keys.secret_of(SHOP))]);
    for arguments in [&["refunds", "list"][..], &["refunds", "retry", UNKNOWN_ID, "--note", "n"]] {
        let ran = stack.paysaga_with(arguments, key.clone()).await;
        assert!(
            ran.stderr.contains("403 Insufficient scope: This API key lacks the scope admin:"),
            "{ran:?}"
        );
    }
    // The rest of the audit needs no operator.
    let ran = stack.paysaga_with(&["check"], key).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_charge_that_comes_to_light_after_the_cancellation_is_refunded() {
    let stack = Stack::with().env("PROVIDER_TIMEOUT", "200ms").start().await;
    let provider = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.charge_begins(id).await;
    stack.api.cancel(id).await;
    stack.api.payment_becomes(id, PaymentStatus::Cancelled).await;
    provider.release().await;
    assert_eq!(stack.charge_of(id).await, None);

    // A provider that carries charges out later than it may.
    sqlx::query(
        "INSERT INTO provider_simulator.charges (payment_id, amount, outcome, transaction_id)
         SELECT id, amount, 'APPROVED', 'late' FROM payments WHERE order_id = $1",
    )
    .bind(id.as_uuid())
    .execute(&stack.payment_database)
    .await
    .expect("the database answers");
    let minutes_pass =
        "UPDATE payments SET due_at = now() WHERE next_step = 'LOOKUP' AND status = 'CANCELLED'";
    let looked = sqlx::query(minutes_pass).execute(&stack.payment_database).await;
    assert_eq!(looked.expect("the database answers").rows_affected(), 1);
    eventually("the money goes back", async || {
        let charge = stack.charge_of(id).await.expect("it was charged");
        if charge.refunded { Ok(()) } else { Err(format!("{charge:?}")) }
    })
    .await;
    stack.drain_every_queue().await;
    let payment = stack.api.payment_of(id).await.expect("there is a payment");
    assert_eq!((payment.status, payment.transaction_id.as_deref()), (PaymentStatus::Cancelled, Some("late")));
    eventually("nothing is left to do", async || {
        let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
        if ran.code == Some(0) { Ok(()) } else { Err(format!("{ran:?}")) }
    })
    .await;
}
