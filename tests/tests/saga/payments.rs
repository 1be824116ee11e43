//! Payments over HTTP, and their statistics.

use contracts::payment::{Payment, StatusStats};
use contracts::{OrderId, OrderStatus, PaymentStatus};
use serde_json::{Value, json};
use tests::Stack;

#[tokio::test]
async fn a_payment_is_found_by_its_id_and_by_its_order() {
    let stack = Stack::start().await;
    let id = stack.api.place("999.01").await;
    let payment = stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    let by_id: Value = stack.api.read(&format!("/api/payments/{}", payment.id)).await;
    let by_order: Value = stack.api.read(&format!("/api/payments/order/{id}")).await;
    assert_eq!(by_id, by_order);
    let listed: Value = stack.api.read("/api/payments").await;
    assert_eq!(listed["data"], json!([by_id]));
    assert_eq!(by_id["id"], payment.id.to_string());
    assert_eq!(by_id["orderId"], id.to_string());
    assert_eq!(by_id["amount"], json!(999.01));
    assert_eq!(by_id["status"], "APPROVED");
    for time in ["createdAt", "updatedAt"] {
        let text = by_id[time].as_str().expect("a time");
        assert!(text.len() == 24 && text.ends_with('Z') && &text[19..20] == ".", "{text}");
    }
}

#[tokio::test]
async fn the_stats_are_exact_for_every_status() {
    let stack = Stack::with().env("PROVIDER_CONCURRENCY", "1").start().await;
    assert_eq!(stack.api.text("/api/payments/stats").await, r#"{"byStatus":[]}"#);
    for (total, status) in [
        ("10.01", PaymentStatus::Approved),
        ("20.01", PaymentStatus::Approved),
        ("0.1", PaymentStatus::Approved),
        ("0.2", PaymentStatus::Approved),
        ("30.02", PaymentStatus::Declined),
        ("40.02", PaymentStatus::Declined),
        ("50.03", PaymentStatus::Failed),
    ] {
        let id = stack.api.place(total).await;
        stack.api.payment_becomes(id, status).await;
    }
    let refunded = stack.api.place("60.01").await;
    stack.api.order_becomes(refunded, OrderStatus::Paid).await;
    stack.api.cancel(refunded).await;
    stack.api.payment_becomes(refunded, PaymentStatus::Refunded).await;

    // The only slot is taken, so the next payment is not charged yet.
    let held = stack.block_provider().await;
    let processing = stack.api.place("70.01").await;
    stack.api.charge_begins(processing).await;
    let cancelled = stack.api.place("80.01").await;
    stack.api.payment_becomes(cancelled, PaymentStatus::Processing).await;
    stack.api.cancel(cancelled).await;
    stack.api.payment_becomes(cancelled, PaymentStatus::Cancelled).await;

    let expected = [
        (PaymentStatus::Approved, 4, "30.32"),
        (PaymentStatus::Cancelled, 1, "80.01"),
        (PaymentStatus::Declined, 2, "70.04"),
        (PaymentStatus::Failed, 1, "50.03"),
        (PaymentStatus::Processing, 1, "70.01"),
        (PaymentStatus::Refunded, 1, "60.01"),
    ];
    assert_eq!(stats(&stack).await, rows(&expected));

    held.release().await;
    stack.api.payment_becomes(processing, PaymentStatus::Approved).await;
    let expected = [
        (PaymentStatus::Approved, 5, "100.33"),
        (PaymentStatus::Cancelled, 1, "80.01"),
        (PaymentStatus::Declined, 2, "70.04"),
        (PaymentStatus::Failed, 1, "50.03"),
        (PaymentStatus::Refunded, 1, "60.01"),
    ];
    assert_eq!(stats(&stack).await, rows(&expected));
    newest_payment_is(&stack, cancelled, 10).await;
}

async fn stats(stack: &Stack) -> Vec<(PaymentStatus, u64, String)> {
    let stats = stack.api.stats().await.by_status;
    let row = |stats: &StatusStats| (stats.status, stats.count, stats.total_amount.to_string());
    let mut rows: Vec<_> = stats.iter().map(row).collect();
    rows.sort_by_key(|(status, ..)| status.to_string());
    rows
}

fn rows(expected: &[(PaymentStatus, u64, &str)]) -> Vec<(PaymentStatus, u64, String)> {
    expected.iter().map(|(status, count, amount)| (*status, *count, (*amount).to_owned())).collect()
}

async fn newest_payment_is(stack: &Stack, order: OrderId, total: u64) {
    let page: contracts::page::Page<Payment> = stack.api.read("/api/payments?limit=1").await;
    assert_eq!((page.data[0].order_id, page.meta.total), (order, total));
}
