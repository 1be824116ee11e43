//! Messages that can't be processed, on every queue, under load: each is dead-lettered, and holds up no other.

use contracts::topology::Queue;
use lapin::BasicProperties;
use rand::RngExt;
use strum::VariantArray;
use uuid::Uuid;

use super::scenario;
use crate::api::USER;
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

const MEBIBYTE: usize = 1 << 20;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("poison of every kind on every queue", |rig| Box::pin(poisoned(rig)))]
}

async fn poisoned(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let amqp = rig.amqp().await;
    let load = rig.load();
    let mut sent = 0;
    for &queue in Queue::VARIANTS {
        let event_type = queue.routes().next().expect("it has a route").event_type;
        for body in poison(queue, &mut || Uuid::from_u128(rig.random.random())) {
            load.wait_for_orders(1).await;
            amqp.publish(event_type, body.as_bytes(), BasicProperties::default()).await;
            sent += 1;
        }
    }
    rig.fault_is_over();
    load.wait_for_orders(20).await;
    let records = load.stop().await;
    let outcome = rig.judge_with(records, sent).await;
    outcome.note(format!("{sent} messages were dead-lettered, with reasons"))
}

/// Bodies that can't be processed in a queue, each unlike any other.
fn poison(queue: Queue, id: &mut impl FnMut() -> Uuid) -> Vec<String> {
    let name = queue.routes().next().expect("it has a route").event_type.to_string();
    let mut envelope = |event_type: &str, payload: &str| {
        format!(
            r#"{{"eventType":"{event_type}","eventId":"{}","occurredAt":"2026-01-02T03:04:05.678Z","payload":{payload}}}"#,
            id()
        )
    };
    let mut poison = vec![
        // A member of the wrong type, members that are missing, an event type that does not exist.
        envelope(&name, r#"{"orderId":7,"userId":[],"total":"much","transactionId":{}}"#),
        envelope(&name, "{}"),
        envelope("OrderShipped", "{}"),
    ];
    if matches!(queue, Queue::OrderCreate | Queue::PaymentOrderCreated) {
        for total in ["0", "-1", "0.001", "1e15", "1e400", "1000000000000", "NaN", "null"] {
            let payload = format!(r#"{{"orderId":"{USER}","userId":"{USER}","total":{total}}}"#);
            poison.push(envelope(&name, &payload));
        }
    }
    // Not JSON, another kind of JSON, a body of 1 MiB.
    poison.push(format!("not json {}", id()));
    poison.push(format!("[\"{}\"]", id()));
    poison.push(format!("{}{}", id(), "x".repeat(MEBIBYTE)));
    poison
}
