//! Failed messages: an operator lists, replays or discards them.

use contracts::event::{CreateOrderRequested, OrderCreated, PaymentApproved};
use contracts::failed_message::{AuditAction, FailedMessage, FailedMessageStatus};
use contracts::topology::Queue;
use contracts::{Envelope, EventType, OrderId, OrderStatus, PaymentStatus};
use lapin::BasicProperties;
use serde_json::Value;
use tests::api::{USER, problem};
use tests::api_keys::{APP, Key, KeyFile, SHOP};
use tests::programs::environment;
use tests::{Stack, eventually};
use uuid::Uuid;

#[tokio::test]
async fn a_message_that_was_too_early_is_replayed_with_its_event_id() {
    let mut stack = Stack::start().await;
    stack.payment.stop().await;
    let order_id = OrderId::new();
    let approval = Envelope::now(PaymentApproved { order_id, transaction_id: "t-1".to_owned() }, None);
    let event_id = approval.event_id;
    let properties = BasicProperties::default().with_message_id(event_id.to_string().into());
    let body = approval.encode().expect("an event can be written").body;
    stack.amqp.publish(EventType::PaymentApproved, body.as_bytes(), properties).await;
    let failed = stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await.remove(0);
    assert_eq!(failed.message_id, Some(event_id.to_string()));

    let request = CreateOrderRequested {
        order_id: Some(order_id),
        user_id: USER.parse().expect("a UUID"),
        total: "10.01".parse().expect("money"),
        owner: None,
    };
    stack.amqp.publish_event(&Envelope::now(request, None)).await;
    stack.api.order_becomes(order_id, OrderStatus::PendingPayment).await;
    replay(&stack, &failed).await;
    stack.api.order_becomes(order_id, OrderStatus::Paid).await;
    let recorded = |timeline: contracts::order::Timeline| {
        timeline.events.iter().filter(|entry| entry.event_id == event_id).count()
    };
    assert_eq!(recorded(stack.api.timeline(order_id).await), 1);

    // Replayed again a year later, it changes nothing.
    stack.payment.start_again().await;
    stack.api.payment_becomes(order_id, PaymentStatus::Approved).await;
    stack.api.cancel(order_id).await;
    stack.api.payment_becomes(order_id, PaymentStatus::Refunded).await;
    for statement in [
        "UPDATE failed_messages SET first_seen = first_seen - interval '1 year',
                                    last_seen = last_seen - interval '1 year'",
        "UPDATE orders SET created_at = created_at - interval '1 year',
                           updated_at = updated_at - interval '1 year'",
    ] {
        sqlx::query(statement).execute(&stack.order_database).await.expect("the database answers");
    }
    replay(&stack, &failed).await;
    stack.drain_every_queue().await;
    stack.api.order_becomes(order_id, OrderStatus::Cancelled).await;
    assert_eq!(recorded(stack.api.timeline(order_id).await), 1);
    let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn the_whole_history_replayed_changes_nothing() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let mut orders = Vec::new();
    for total in ["10.01", "10.02", "10.03"] {
        orders.push(stack.api.place(total).await);
    }
    let [paid, declined, failed] = orders[..] else { unreachable!("three were placed") };
    let statuses = async || {
        stack.api.order_becomes(paid, OrderStatus::Paid).await;
        stack.api.order_becomes(declined, OrderStatus::Cancelled).await;
        stack.api.order_becomes(failed, OrderStatus::Failed).await;
        (
            stack.api.payment_of(paid).await,
            stack.api.payment_of(declined).await,
            stack.api.payment_of(failed).await,
        )
    };
    let before = statuses().await;
    stack.outboxes_empty().await;
    let history = tap.all().await.to_vec();
    assert!(history.len() >= 10, "{history:?}");
    for _ in 0..2 {
        for message in &history {
            stack
                .amqp
                .publish(message.envelope().event.event_type(), &message.body, BasicProperties::default())
                .await;
        }
    }
    stack.drain_every_queue().await;
    assert_eq!(statuses().await, before);
    let ran = stack.paysaga_with(&["check", "--settled"], stack.infrastructure_urls()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn many_are_counted_listed_and_replayed_by_filter_and_at_a_rate() {
    let stack = Stack::start().await;
    for body in ["not json", "nor this", "nor that"] {
        stack.amqp.publish(EventType::OrderCreated, body.as_bytes(), BasicProperties::default()).await;
    }
    let created = OrderCreated {
        order_id: OrderId::new(),
        user_id: USER.parse().expect("a UUID"),
        total: "10.01".parse().expect("money"),
        expires_at: None,
        owner: None,
    };
    let foreign = Envelope::now(created, None).encode().expect("an event can be written").body;
    let properties = BasicProperties::default().with_type("OrderCreated".into());
    stack.amqp.publish(EventType::PaymentApproved, foreign.as_bytes(), properties).await;
    stack.api.failed_messages_are(Queue::PaymentOrderCreated, 3).await;
    stack.api.failed_messages_are(Queue::OrderPaymentResult, 1).await;

    for (filter, count) in [
        (&[][..], 4),
        (&["--service", "payment"], 3),
        (&["--queue", "order.payment-result.queue"], 1),
        (&["--type", "OrderCreated"], 1),
        (&["--reason", "DOES NOT BELONG"], 1),
        (&["--to", "2026-01-01T00:00:00Z"], 0),
        (&["--from", "2026-01-01T00:00:00Z"], 4),
        (&["--status", "discarded"], 0),
    ] {
        let listed = list(&stack, filter).await;
        assert_eq!(listed.len(), count, "{filter:?}: {listed:?}");
    }

    let replay = ["failed", "replay", "--all", "--service", "payment"];
    let dry = stack.paysaga(&[&replay[..], &["--dry-run"]].concat()).await;
    assert!(dry.stdout.starts_with("payment: 3 messages would be handled again"), "{dry:?}");
    assert!(list(&stack, &[]).await.iter().all(|message| message["attempts"] == 1));
    let how = ["--rate", "1", "--stop-after", "3", "--reason", "a try"];
    let rate = stack.paysaga(&[&replay[..], &how].concat()).await;
    assert!(rate.stdout.starts_with("payment: 3 messages will be handled again by"), "{rate:?}");
    eventually("all have failed again", async || {
        let listed = list(&stack, &["--service", "payment"]).await;
        let again = listed.iter().filter(|message| message["attempts"] == 2).count();
        if again == 3 { Ok(()) } else { Err(format!("{listed:?}")) }
    })
    .await;
    // At one a second, the third follows two seconds after the request.
    let waited: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM max(last_seen) - (SELECT min(at) FROM failed_message_audit
                                                     WHERE action = 'REPLAY_REQUESTED'))::float8
         FROM failed_messages",
    )
    .fetch_one(&stack.payment_database)
    .await
    .expect("the database answers");
    assert!(waited >= 2.0, "{waited} s");
}

#[tokio::test]
async fn repeated_poison_is_one_failed_message_with_its_reason() {
    let stack = Stack::start().await;
    for _ in 0..20 {
        stack.amqp.publish(EventType::OrderCreated, b"not json", BasicProperties::default()).await;
    }
    eventually("it failed twenty times", async || {
        let failed = stack.api.failed_messages_are(Queue::PaymentOrderCreated, 1).await.remove(0);
        assert_ne!(failed.reason, "rejected", "the reason is the consumer's");
        if failed.attempts == 20 { Ok(()) } else { Err(format!("{failed:?}")) }
    })
    .await;
}

#[tokio::test]
async fn only_an_operator_discards_a_message_and_gives_a_reason() {
    let keys = KeyFile::of(&[]);
    keys.write(&[SHOP.with("scopes=admin:read,admin:write"), APP.with("scopes=admin:read")]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    stack.amqp.publish(EventType::OrderCreated, b"not json", BasicProperties::default()).await;
    let listed = eventually("it failed", async || {
        let ran = with_key(&stack, SHOP, &["failed", "list", "--json"]).await;
        let listed: Vec<Value> = serde_json::from_str(&ran.stdout).map_err(|_| format!("{ran:?}"))?;
        listed.into_iter().next().ok_or_else(|| "it did not yet".to_owned())
    })
    .await;
    let id = listed["id"].as_str().expect("it has an id");

    let shown = with_key(&stack, APP, &["failed", "show", id]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let discard = ["failed", "discard", id, "--reason", "sent by mistake"];
    let refused = with_key(&stack, APP, &discard).await;
    assert_eq!(refused.code, Some(1));
    let reason = "403 Insufficient scope: This API key lacks the scope admin:write";
    assert!(refused.stderr.contains(reason), "{refused:?}");

    for change in [
        &["failed", "replay", "--all", "--service", "payment", "--reason", "a try"][..],
        &["failed", "edit", id, "--body", "/dev/null", "--reason", "a try"],
    ] {
        let refused = with_key(&stack, APP, change).await;
        assert!(refused.stderr.contains(reason), "{change:?}: {refused:?}");
    }

    let discarded = with_key(&stack, SHOP, &discard).await;
    assert_eq!(discarded.stdout, format!("{id} is discarded\n"), "{discarded:?}");
    let again = with_key(&stack, SHOP, &discard).await;
    assert!(again.stderr.contains("409 Conflict") && again.stderr.contains("DISCARDED"), "{again:?}");
    let shown = with_key(&stack, SHOP, &["failed", "show", id]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).expect("it prints JSON");
    let audit: Vec<_> = shown["audit"]
        .as_array()
        .expect("it has an audit")
        .iter()
        .map(|entry| {
            (entry["action"].as_str().unwrap_or_default(), entry["actor"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(audit, [("FAILED", "service"), ("DISCARDED", "shop")]);
    assert_eq!(shown["audit"][1]["note"], "sent by mistake");
    assert_eq!(shown["body"], "not json");

    let missing = Uuid::new_v4().to_string();
    let unknown = with_key(&stack, SHOP, &["failed", "replay", &missing]).await;
    assert!(unknown.stderr.contains(&format!("no service has a failed message {missing}")), "{unknown:?}");
    // The API answers the same.
    let path = format!("/api/admin/payment/failed-messages/{missing}/replay");
    let request = stack.api.request(http::Method::POST, &path).bearer_auth(SHOP.secret).send().await;
    assert_eq!(problem(request.expect("an answer")).await.status, 404);
}

#[tokio::test]
async fn escape_sequences_in_a_message_do_not_reach_the_operators_terminal() {
    let stack = Stack::start().await;
    let escapes = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m";
    let body = format!("{escapes} is no event");
    let properties = BasicProperties::default().with_type(escapes.into()).with_correlation_id(escapes.into());
    stack.amqp.publish(EventType::OrderCreated, body.as_bytes(), properties).await;
    let failed = stack.api.failed_messages_are(Queue::PaymentOrderCreated, 1).await.remove(0);
    let id = failed.id.to_string();
    for arguments in [&["failed", "list"][..], &["failed", "show", &id], &["failed", "list", "--json"]] {
        let ran = stack.paysaga(arguments).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let is_command = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
        assert!(
            !ran.stdout.contains(is_command) && ran.stdout.contains("\\u001b[2J"),
            "{arguments:?}: {ran:?}"
        );
    }
}

async fn replay(stack: &Stack, message: &FailedMessage) {
    let id = message.id.to_string();
    let status = async || {
        let details = stack.api.failed_message(Queue::OrderPaymentResult, message.id).await;
        let replayed = details.audit.iter().filter(|entry| entry.action == AuditAction::Replayed).count();
        (details.message.status, replayed)
    };
    let (_, before) = status().await;
    let ran = stack.paysaga(&["failed", "replay", &id]).await;
    assert_eq!(ran.stdout, format!("{id} will be handled again by the order service\n"), "{ran:?}");
    eventually(&format!("{id} is replayed"), async || match status().await {
        (FailedMessageStatus::Replayed, replayed) if replayed == before + 1 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn list(stack: &Stack, filter: &[&str]) -> Vec<Value> {
    let ran = stack.paysaga(&[&["failed", "list", "--json"], filter].concat()).await;
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

async fn with_key(stack: &Stack, key: Key, arguments: &[&str]) -> tests::stack::CommandOutput {
    let keys = KeyFile::of(&[key]);
    let file = keys.secret_of(key);
    stack.paysaga_with(arguments, environment(&[("PAYSAGA_API_KEY_FILE", &file)])).await
}
