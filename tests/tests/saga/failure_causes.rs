//! What messages failed for, and another body for one.

use contracts::event::PaymentApproved;
use contracts::failed_message::{AuditAction, FailedMessageStatus};
use contracts::replay::{FailureCause, ReplayStatus};
use contracts::topology::{Queue, Service};
use contracts::{Envelope, EventType, OrderId, OrderStatus};
use http::StatusCode;
use lapin::BasicProperties;
use serde_json::{Value, json};
use tests::api::{problem, refused};
use tests::replays::replay_of_all;
use tests::{Stack, eventually};
use uuid::Uuid;

/// A message of the payment service with this payload.
fn message(event_type: &str, payload: &Value) -> Vec<u8> {
    let envelope = json!({
        "eventType": event_type,
        "eventId": Uuid::new_v4(),
        "occurredAt": "2026-01-02T03:04:05.678Z",
        "payload": payload,
    });
    envelope.to_string().into_bytes()
}

#[tokio::test]
async fn a_flood_is_grouped_by_its_causes_with_its_orders_and_their_money() {
    let stack = Stack::start().await;
    let known = [stack.api.place("20.01").await, stack.api.place("30.01").await];
    for order in known {
        stack.api.order_becomes(order, OrderStatus::Paid).await;
    }
    let mut flood = Vec::new();
    // Six orders, two messages each, which say what these come to.
    for _ in 0..6 {
        let payload = json!({"orderId": Uuid::new_v4(), "total": 10.01});
        flood.extend([message("PaymentDeclined", &payload), message("PaymentDeclined", &payload)]);
    }
    // Five that say nothing.
    flood.extend((0..5).map(|number| format!("nonsense {number}").into_bytes()));
    // Four about two orders that the service knows.
    for order in known {
        flood.extend((0..2).map(|_| message("PaymentApproved", &json!({"orderId": order}))));
    }
    for body in &flood {
        let properties = BasicProperties::default().with_type("flood".into());
        stack.amqp.publish(EventType::PaymentApproved, body, properties).await;
    }
    let causes = stack.api.failure_causes_are(Service::Order, 3, 21).await.data;
    let seen: Vec<_> =
        causes.iter().map(|cause| (cause.open, cause.orders, cause.money.to_string())).collect();
    let expected = [(12, 6, "60.06"), (5, 0, "0"), (4, 2, "50.02")];
    assert_eq!(seen, expected.map(|(open, orders, money)| (open, orders, money.to_owned())), "{causes:?}");
    let has = |cause: &FailureCause, words: &str| {
        assert!(cause.cause.contains(words) && cause.sample.contains(words), "{cause:?}");
        assert_eq!(
            (cause.queue.as_str(), cause.event_type.as_deref()),
            ("order.payment-result.queue", Some("flood"))
        );
        assert_eq!((cause.new, cause.trend[23], cause.trend.len()), (cause.open, cause.open, 24));
    };
    has(&causes[0], "payload of PaymentDeclined: missing field `reason`");
    has(&causes[1], "not an event envelope");
    has(&causes[2], "payload of PaymentApproved: missing field `transactionId`");

    let printed = stack.paysaga(&["failed", "causes"]).await;
    assert!(printed.stdout.contains("21 messages of 3 causes wait for a decision"), "{printed:?}");
    let of_cause = stack.paysaga(&["failed", "list", "--json", "--cause", &causes[2].cause]).await;
    let of_cause: Vec<Value> = serde_json::from_str(&of_cause.stdout).expect("it prints JSON");
    assert_eq!(of_cause.len(), 4);
    assert_eq!((&of_cause[0]["amount"], &of_cause[0]["cause"]), (&json!(30.01), &json!(causes[2].cause)));

    // Those of one cause are replayed, and the first fails again: it alone is new.
    let mut replay = replay_of_all();
    replay.filter.cause = Some(causes[1].cause.clone());
    let preview =
        stack.paysaga(&["failed", "replay", "--all", "--dry-run", "--cause", &causes[2].cause]).await;
    let expected = "order: 4 messages would be handled again (2 orders of 50.02 altogether)";
    assert!(preview.stdout.contains(expected), "{preview:?}");
    let begun = stack.api.begin_replay(Service::Order, &replay).await;
    assert_eq!(begun.outcomes.members, 5);
    stack.api.replay_becomes(Service::Order, begun.id, ReplayStatus::Stopped).await;
    eventually("one is new", async || {
        let causes = stack.api.failure_causes_are(Service::Order, 3, 21).await.data;
        let new: Vec<_> = causes.iter().map(|cause| cause.new).collect();
        if new == [12, 1, 4] { Ok(()) } else { Err(format!("{new:?}")) }
    })
    .await;
}

#[tokio::test]
async fn what_an_older_version_stored_is_grouped_by_its_reason() {
    let stack = Stack::start().await;
    sqlx::raw_sql(
        "INSERT INTO failed_messages (id, queue, exchange, routing_key, trace_context, headers, body, reason)
         SELECT gen_random_uuid(), 'order.create.queue', '', '', '{}', '{}', '', 'rejected ' || number % 2
         FROM generate_series(1, 5) AS number",
    )
    .execute(&stack.order_database)
    .await
    .expect("it can be written");
    let causes = stack.api.failure_causes_are(Service::Order, 2, 5).await.data;
    let seen: Vec<_> = causes.iter().map(|cause| (cause.cause.as_str(), cause.open)).collect();
    assert_eq!(seen, [("rejected 1", 3), ("rejected 0", 2)]);
    let mut replay = replay_of_all();
    replay.filter.cause = Some("rejected 1".to_owned());
    assert_eq!(stack.api.begin_replay(Service::Order, &replay).await.outcomes.members, 3);
}

#[tokio::test]
async fn a_message_is_mended_and_the_body_that_it_came_with_is_kept() {
    let mut stack = Stack::start().await;
    stack.payment.stop().await;
    let order = OrderId::new();
    stack.amqp.place(order, None).await;
    stack.api.order_becomes(order, OrderStatus::PendingPayment).await;
    let approval = Envelope::now(PaymentApproved { order_id: order, transaction_id: "t-1".to_owned() }, None);
    let good = approval.encode().expect("an event can be written").body;
    let bad = good.replace("transactionId", "transaction");
    let properties = BasicProperties::default().with_message_id(approval.event_id.to_string().into());
    stack.amqp.publish(EventType::PaymentApproved, bad.as_bytes(), properties).await;
    let id = stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await[0].id;

    for (body, rule) in [
        ("not json".to_owned(), "not an event envelope"),
        (bad.clone(), "missing field `transactionId`"),
        (good.replace("PaymentApproved", "OrderExploded"), "unknown eventType `OrderExploded`"),
        (good.replace("PaymentApproved", "PaymentRefunded"), "does not belong on order.payment-result.queue"),
        (good.replace(&approval.event_id.to_string(), &Uuid::new_v4().to_string()), "must keep the eventId"),
    ] {
        let answer = problem(stack.api.edit(Service::Order, id, &body).await).await;
        assert_eq!((answer.status, answer.errors[0].member.as_str()), (400, "body"));
        assert!(answer.errors[0].detail.contains(rule), "{answer:?}");
    }
    let unknown = stack.api.edit(Service::Order, Uuid::new_v4(), &good).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(stack.api.failed_message(Queue::OrderPaymentResult, id).await.edited_body, None);

    let file = tempfile::NamedTempFile::new().expect("there is room");
    std::fs::write(file.path(), format!("{good}\n")).expect("it can be written");
    let file = file.path().to_str().expect("it is text");
    let id_text = id.to_string();
    let edit = ["failed", "edit", &id_text, "--body", file, "--reason", "a member had another name"];
    let edited = stack.paysaga(&edit).await;
    assert_eq!(edited.code, Some(0), "{edited:?}");
    let details = stack.api.failed_message(Queue::OrderPaymentResult, id).await;
    assert_eq!((details.body.as_str(), details.edited_body.as_deref()), (&*bad, Some(&*good)));
    // A service of the version before knows of this column alone.
    let stored = sqlx::query_scalar::<_, Vec<u8>>("SELECT body FROM failed_messages WHERE id = $1").bind(id);
    assert_eq!(stored.fetch_one(&stack.order_database).await.expect("it is there"), good.as_bytes());
    let entry = details.audit.last().expect("there is one");
    assert_eq!((entry.action, entry.actor.as_str()), (AuditAction::Edited, "anonymous"));
    assert_eq!(entry.note.as_deref(), Some("a member had another name"));

    let replayed = stack.paysaga(&["failed", "replay", &id_text]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    stack.api.order_becomes(order, OrderStatus::Paid).await;
    let details = eventually("it is marked", async || {
        let details = stack.api.failed_message(Queue::OrderPaymentResult, id).await;
        let is_marked = details.message.status == FailedMessageStatus::Replayed;
        if is_marked { Ok(details) } else { Err(format!("{details:?}")) }
    })
    .await;
    assert_eq!((details.body.as_str(), details.edited_body.as_deref()), (&*bad, Some(&*good)));
    let timeline = stack.api.timeline(order).await;
    assert!(timeline.events.iter().any(|entry| entry.event_id == approval.event_id), "{timeline:?}");

    let late = problem(stack.api.edit(Service::Order, id, &good).await).await;
    assert_eq!(
        (late.status, late.detail.as_str()),
        (409, "The message is REPLAYED; only a FAILED one can be edited.")
    );
    let nameless = json!({"body": good, "reason": ""});
    let path = format!("/api/admin/order/failed-messages/{id}/edit");
    let nameless = stack.api.request(http::Method::POST, &path).json(&nameless).send().await;
    assert_eq!(refused(nameless.expect("an answer"), StatusCode::BAD_REQUEST, "no reason").await, ["reason"]);
}
