//! Messages that can't be processed, on every queue, under load: each is dead-lettered, and holds up no other.

use std::time::Duration;

use contracts::EventType;
use contracts::topology::{Queue, Service};
use lapin::BasicProperties;
use rand::RngExt;
use strum::VariantArray;
use tokio::time::sleep;
use uuid::Uuid;

use super::{place, scenario};
use crate::api::USER;
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

const MEBIBYTE: usize = 1 << 20;

/// The variables that name the order whose messages can't be applied.
const PANIC_ON: &str = "PAYSAGA_PANIC_ON";
const ABORT_ON: &str = "PAYSAGA_ABORT_ON";

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![scenario("poison of every kind on every queue", |rig| Box::pin(poisoned(rig)))];
    for service in Service::WITH_DATABASE {
        let panics = scenario(format!("a message on which {service} panics"), move |rig| {
            Box::pin(fails(rig, service, PANIC_ON))
        });
        let crashes = scenario(format!("a message on which the process of {service} ends"), move |rig| {
            Box::pin(fails(rig, service, ABORT_ON))
        });
        scenarios.extend([panics, crashes].map(|scenario| Scenario { failpoints: true, ..scenario }));
    }
    scenarios
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

/// A defect that one message meets. It is dead-lettered, and none of its neighbours with it, however often it ends the
/// process before.
async fn fails(rig: &mut Rig<'_>, service: Service, variable: &'static str) -> Outcome {
    let order = Uuid::from_u128(rig.random.random());
    rig.start(&Plan { failpoint: Some((service, variable, order.to_string())), ..Plan::default() }).await;
    let load = rig.load();
    load.wait_for_orders(30).await;
    let event_type = match service {
        Service::Payment => EventType::OrderCreated,
        Service::Order | Service::Gateway => EventType::CreateOrderRequested,
    };
    let payload = format!(r#"{{"orderId":"{order}","userId":"{USER}","total":10.01}}"#);
    let message = envelope(&event_type.to_string(), order, &payload);
    let status = rig.first_of(service).stop().await;
    assert!(status.success(), "{service} ended with {status}");
    rig.amqp().await.publish(event_type, message.as_bytes(), BasicProperties::default()).await;
    // What is delivered with it, as many as fit into a batch and more.
    let neighbours = place(&rig.api(), 300).await;
    rig.first_of(service).launch_again();
    let mut ends = 0;
    while failed_messages(rig, service).await == 0 {
        assert!(ends < 100, "the message is not dead-lettered");
        let process = rig.first_of(service);
        if process.try_ended().is_some() {
            ends += 1;
            process.launch_again();
        }
        sleep(Duration::from_millis(20)).await;
    }
    rig.fault_is_over();
    rig.all_ready().await;
    load.wait_for_orders(20).await;
    let mut records = load.stop().await;
    records.placed.extend(neighbours);
    let expected = if variable == PANIC_ON { ends == 0 } else { ends > 0 };
    rig.judge_with(records, 1)
        .await
        .note(format!("the process ended {ends} times"))
        .expect(expected, format!("the process ended {ends} times"))
}

async fn failed_messages(rig: &mut Rig<'_>, service: Service) -> i64 {
    let mut database = rig.database(service).await.expect("the database answers");
    let count = sqlx::query_scalar("SELECT count(*) FROM failed_messages").fetch_one(&mut database);
    count.await.expect("the database answers")
}

/// Bodies that can't be processed in a queue, each unlike any other.
fn poison(queue: Queue, id: &mut impl FnMut() -> Uuid) -> Vec<String> {
    let name = queue.routes().next().expect("it has a route").event_type.to_string();
    let mut envelope = |event_type: &str, payload: &str| envelope(event_type, id(), payload);
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

fn envelope(event_type: &str, id: Uuid, payload: &str) -> String {
    format!(
        r#"{{"eventType":"{event_type}","eventId":"{id}","occurredAt":"2026-01-02T03:04:05.678Z","payload":{payload}}}"#
    )
}
