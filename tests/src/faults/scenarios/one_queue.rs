//! A queue takes nothing any more, or messages no longer reach it. What goes to the others is published as ever.

use std::time::{Duration, Instant};

use contracts::topology::{Queue, Service};
use contracts::{EventType, OrderId, OrderStatus};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use sqlx::PgConnection;

use super::{also_short, scenario};
use crate::api::Api;
use crate::eventually;
use crate::faults::launch::Plan;
use crate::faults::load::Placed;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Orders that are placed and paid meanwhile, one after the other.
const ORDERS: usize = 5;

/// Cancellations that the gateway can't publish, sent at once.
const CANCELLATIONS: usize = 8;

/// For how long a service waits for a confirm.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a binding is deleted.
const UNBOUND: usize = 5;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        also_short(scenario("two queues confirm nothing", |rig| Box::pin(silent(rig)))),
        scenario("one queue's binding is deleted, 5 times", |rig| Box::pin(unbound(rig))),
    ]
}

/// Suspends the queue of the gateway's cancellations, and that of the order service's: they are as silent as queues that
/// have lost their majority. Meanwhile other orders are placed and paid.
async fn silent(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    let mut records = load.stop().await;
    rig.fault_is_over();
    rig.wait_until_at_rest(&records, 0).await.expect("all comes to rest");

    tell(rig, Queue::PaymentOrderCancelled, "suspend").await;
    let api = rig.api();
    // Declined: its cancellation is the order service's own, and waits in the outbox.
    let declined = api.place("10.02").await;
    let mut database = rig.database(Service::Order).await.expect("the database answers");
    wait_in_outbox(&mut database).await;
    tell(rig, Queue::OrderCancelRequested, "suspend").await;
    // As many as the gateway has lanes for a queue, and more.
    let mut cancelling = Vec::new();
    for _ in 0..CANCELLATIONS {
        cancelling.push(api.place("10.01").await);
    }
    let cancellations = join_all(cancelling.iter().map(|id| cancellation_refused(&api, *id)));
    let (refused, slowest) = tokio::join!(cancellations, pay(&api, &mut records.placed));
    let waiting = wait_in_outbox(&mut database).await;
    tell(rig, Queue::PaymentOrderCancelled, "resume").await;
    tell(rig, Queue::OrderCancelRequested, "resume").await;
    records.placed.extend(cancelling.into_iter().chain([declined]).map(Placed::new));
    rig.fault_is_over();
    let refused = refused.into_iter().max().unwrap_or_default();
    let outcome = rig.judge(records).await.note(format!(
        "meanwhile {ORDERS} orders were accepted after at most {} ms (bound {}), and paid after at most {} ms; cancellations were \
         refused after at most {} ms, {waiting} waited in the outbox",
        slowest.accepted.as_millis(),
        PUBLISH_TIMEOUT.as_millis(),
        slowest.paid.as_millis(),
        refused.as_millis(),
    ));
    outcome.expect(slowest.accepted < PUBLISH_TIMEOUT, "orders waited for the confirms of cancellations")
}

/// The bindings are restored in the background, by whichever service finds its messages returned.
async fn unbound(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    let amqp = rig.amqp().await;
    for _ in 0..UNBOUND {
        load.wait_for_orders(20).await;
        amqp.unbind(EventType::OrderCreated).await;
    }
    rig.judge_recovery(load).await
}

/// The slowest of some orders.
#[derive(Default)]
struct Slowest {
    accepted: Duration,
    paid: Duration,
}

/// Places orders, each beside one that is declined and so cancelled, and waits until they are paid.
async fn pay(api: &Api, placed: &mut Vec<Placed>) -> Slowest {
    let mut slowest = Slowest::default();
    for _ in 0..ORDERS {
        let started = Instant::now();
        let id = api.place("10.01").await;
        slowest.accepted = slowest.accepted.max(started.elapsed());
        let declined = api.place("10.02").await;
        placed.extend([id, declined].map(Placed::new));
        api.order_becomes(id, OrderStatus::Paid).await;
        slowest.paid = slowest.paid.max(started.elapsed());
    }
    slowest
}

/// Cancels an order until the gateway refuses to; returns after which time it answered.
async fn cancellation_refused(api: &Api, id: OrderId) -> Duration {
    eventually("a cancellation is refused", async || {
        let started = Instant::now();
        let path = format!("/api/orders/{id}/cancel");
        let answer = api.request(Method::PATCH, &path).send().await.map_err(|error| error.to_string())?;
        match answer.status() {
            StatusCode::SERVICE_UNAVAILABLE => Ok(started.elapsed()),
            status => Err(format!("it was answered {status}")),
        }
    })
    .await
}

/// Waits until cancellations, and nothing else, were left behind in the order service's outbox; returns how many.
async fn wait_in_outbox(database: &mut PgConnection) -> i64 {
    eventually("cancellations wait in the outbox", async || {
        let waiting = sqlx::query_as::<_, (i64, i64)>(
            "SELECT count(*) FILTER (WHERE event_type = 'OrderCancelled'),
                    count(*) FILTER (WHERE event_type <> 'OrderCancelled')
             FROM outbox WHERE created_at < now() - interval '3 s'",
        );
        match waiting.fetch_one(&mut *database).await.map_err(|error| error.to_string())? {
            (cancellations @ 1.., 0) => Ok(cancellations),
            waiting => Err(format!("{waiting:?} wait")),
        }
    })
    .await
}

/// Suspends or resumes a quorum queue's process, which is registered by the names of its virtual host and the queue.
async fn tell(rig: &mut Rig<'_>, queue: Queue, what: &str) {
    let expression = format!("sys:{what}(list_to_existing_atom(\"{}_{queue}\")).", rig.vhost());
    rig.servers.rabbitmq().ctl(&["eval", &expression]).await.expect("rabbitmqctl does it");
}
