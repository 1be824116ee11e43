//! Amounts of money: which are valid, and that they stay exact everywhere.

use contracts::{EventType, OrderId, PaymentStatus};
use http::StatusCode;
use tests::api::{order, refused};
use tests::{Stack, WireTap};

#[tokio::test]
async fn an_amount_is_the_same_everywhere_and_sums_are_exact() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;

    // The pair that binary floating point adds to 0.30000000000000004.
    for (total, written) in [("0.1", "0.1"), ("0.2", "0.2")] {
        let id = stack.api.place(total).await;
        is_everywhere(&stack, &mut tap, id, written).await;
    }
    let stats = stack.api.text("/api/payments/stats").await;
    assert_eq!(stats, r#"{"byStatus":[{"status":"APPROVED","count":2,"totalAmount":0.3}]}"#);

    for (total, written) in [
        ("0.01", "0.01"),
        ("999", "999"),
        ("999.99", "999.99"),
        ("999.00", "999"),
        ("10.50", "10.5"),
        ("1e3", "1000"),
        ("1.5E+2", "150"),
        ("12345E-2", "123.45"),
        ("90071992547.41", "90071992547.41"),
        ("999999999999.99", "999999999999.99"),
        ("999999999999.99", "999999999999.99"),
    ] {
        let id = stack.api.place(total).await;
        is_everywhere(&stack, &mut tap, id, written).await;
    }
    // The sum is larger than any amount may be, and exact.
    let stats = stack.api.text("/api/payments/stats").await;
    let sum = "2090071996829.64";
    let expected = format!(r#"{{"byStatus":[{{"status":"APPROVED","count":13,"totalAmount":{sum}}}]}}"#);
    assert_eq!(stats, expected);
}

#[tokio::test]
async fn an_invalid_amount_is_refused_and_places_nothing() {
    let stack = Stack::start().await;
    for total in [
        "0",
        "0.00",
        "-0",
        "-1",
        "-999.99",
        "0.001",
        "999.999",
        "0.30000000000000004",
        "1000000000000",
        "999999999999.991",
        "1e12",
        "1e15",
        "1e400",
        "1e-3",
        "1e-400",
        "123456789012345678901234567890123456789012345678901234567890",
        "\"12\"",
        "null",
        "true",
        "[12]",
        "{}",
        r#"{"amount":12}"#,
    ] {
        let response = stack.api.post(order(total)).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, total).await, ["total"], "{total}");
    }
    for total in ["", "012", "1.", ".5", "+1", "1,5", "0x10", "NaN", "Infinity"] {
        let response = stack.api.post(order(total)).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, total).await, [""], "{total}");
    }
    let probe = stack.drain_every_queue().await;
    let listed = stack.api.text("/api/orders").await;
    assert!(listed.contains(r#""total":1,"#) && listed.contains(&probe.to_string()), "{listed}");
}

#[tokio::test]
async fn an_object_is_no_number_whatever_its_member_is_called() {
    let stack = Stack::start().await;
    // serde_json's internal form of a number that it keeps as text is not accepted from a client.
    let response = stack.api.post(order(r#"{"$serde_json::private::Number":"12"}"#)).await;
    assert_eq!(refused(response, StatusCode::BAD_REQUEST, "an object").await, ["total"]);
}

/// The order's amount is written this way on the API, on the broker and in both databases.
async fn is_everywhere(stack: &Stack, tap: &mut WireTap, id: OrderId, written: &str) {
    let payment = stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    let has = |what: &str, text: &str, member: &str| {
        let member = format!(r#""{member}":{written}"#);
        let exact = text.contains(&format!("{member},")) || text.contains(&format!("{member}}}"));
        assert!(exact, "{what} has {member}: {text}");
    };
    has("the order", &stack.api.text(&format!("/api/orders/{id}")).await, "total");
    has("the list", &stack.api.text("/api/orders?limit=1").await, "total");
    has("the payment", &stack.api.text(&format!("/api/payments/{}", payment.id)).await, "amount");
    has("its list", &stack.api.text("/api/payments?limit=1").await, "amount");
    has("the timeline", &stack.api.text(&format!("/api/orders/{id}/events")).await, "total");
    for event_type in [EventType::CreateOrderRequested, EventType::OrderCreated] {
        has("the event", &tap.wait_for(event_type, id).await.text(), "total");
    }
    let stored = sqlx::query_scalar::<_, String>("SELECT trim_scale(total)::text FROM orders WHERE id = $1");
    let stored = stored.bind(id.as_uuid()).fetch_one(&stack.order_database).await;
    assert_eq!(stored.expect("the order is stored"), written);
    let stored =
        sqlx::query_scalar::<_, String>("SELECT trim_scale(amount)::text FROM payments WHERE order_id = $1");
    let stored = stored.bind(id.as_uuid()).fetch_one(&stack.payment_database).await;
    assert_eq!(stored.expect("the payment is stored"), written);
}
