//! Clients that follow steps as they happen, while the services that send them are killed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::OrderId;
use contracts::topology::Service;
use http::{Method, StatusCode};
use sqlx::types::Uuid;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{place, scenario};
use crate::api::Api;
use crate::event_source::{EventSource, ask};
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Clients that follow all orders.
const OF_ALL: usize = 100;

/// Clients that follow an order each.
const OF_ONE: u32 = 100;

/// How often the order service and the gateway are killed.
const KILLS: usize = 3;

/// How long a client waits before it comes back. A browser does as the stream says, which is longer.
const PAUSE: Duration = Duration::from_millis(200);

/// How long the clients may take to have everything once all is at rest.
const CATCH_UP: Duration = Duration::from_secs(30);

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("200 streams, order and gateway killed 3 times each", |rig| Box::pin(killed(rig)))]
}

async fn killed(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let (load, api, mut tasks) = (rig.load(), rig.api(), JoinSet::new());
    let of_all: Vec<Client> = (0..OF_ALL).map(|_| Client::new("/api/events?after=0".to_owned())).collect();
    for client in &of_all {
        client.start(&api, &mut tasks);
    }
    let mut placed = place(&api, OF_ONE).await;
    let of_one: Vec<_> = placed
        .iter()
        .map(|placed| (placed.id, Client::new(format!("/api/orders/{}/events", placed.id))))
        .collect();
    for (_, client) in &of_one {
        client.start(&api, &mut tasks);
    }
    for kill in 0..KILLS {
        // So that their streams, too, are cut off while something happens.
        for placed in placed.iter_mut().skip(kill).step_by(KILLS) {
            cancel(&api, placed.id).await;
            placed.cancelled = true;
        }
        for service in [Service::Order, Service::Gateway] {
            load.wait_for_orders(10).await;
            let process = rig.first_of(service);
            process.kill().await;
            process.launch_again();
        }
    }
    rig.fault_is_over();
    load.wait_for_orders(20).await;
    let mut records = load.stop().await;
    records.placed.extend(placed);
    rig.wait_until_at_rest(&records, 0).await;

    let all = steps(rig, None).await;
    let mut expected = Vec::new();
    for (id, _) in &of_one {
        expected.push(steps(rig, Some(*id)).await);
    }
    let clients = || {
        let of_one = of_one.iter().zip(&expected).map(|((_, client), steps)| (client, steps));
        of_all.iter().map(|client| (client, &all)).chain(of_one)
    };
    let at_rest = Instant::now();
    while at_rest.elapsed() < CATCH_UP && clients().any(|(client, steps)| client.count() < steps.len()) {
        sleep(Duration::from_millis(50)).await;
    }
    let took = at_rest.elapsed();
    // What would come twice has time to do so.
    sleep(Duration::from_secs(2)).await;
    let wrong = clients().filter(|(client, steps)| client.ids() != **steps).count();
    let received: usize = clients().map(|(client, _)| client.count()).sum();
    let comings: u64 = clients().map(|(client, _)| client.openings.load(Ordering::Relaxed)).sum();
    tasks.shutdown().await;
    let outcome = rig.judge(records).await;
    outcome
        .note(format!(
            "{} clients got {received} steps over {comings} streams; all had all of them {} ms after all was at rest",
            OF_ALL + of_one.len(),
            took.as_millis()
        ))
        .expect(wrong == 0, format!("{wrong} clients have not every step once and in order"))
        .expect(comings > 200, "no stream broke off")
}

/// Cancels an order, as soon as there is a gateway again that accepts it.
async fn cancel(api: &Api, id: OrderId) {
    let path = format!("/api/orders/{id}/cancel");
    while !matches!(api.request(Method::PATCH, &path).send().await, Ok(answer) if answer.status() == StatusCode::ACCEPTED)
    {
        sleep(PAUSE).await;
    }
}

/// The ids of the steps of an order, or of all, in their order.
async fn steps(rig: &mut Rig<'_>, order: Option<OrderId>) -> Vec<String> {
    let mut database = rig.database(Service::Order).await.expect("the database answers");
    let ids = sqlx::query_scalar::<_, Uuid>(
        "SELECT event_id FROM order_events WHERE order_id = $1 OR $1 IS NULL ORDER BY transaction, position",
    );
    let ids = ids.bind(order.map(OrderId::as_uuid)).fetch_all(&mut database).await;
    ids.expect("the database answers").iter().map(ToString::to_string).collect()
}

/// A client that comes back whenever its stream breaks off.
struct Client {
    path: String,
    ids: Arc<Mutex<Vec<String>>>,
    openings: Arc<AtomicU64>,
}

impl Client {
    fn new(path: String) -> Self {
        Self { path, ids: Arc::default(), openings: Arc::default() }
    }

    fn start(&self, api: &Api, tasks: &mut JoinSet<()>) {
        let (api, path) = (api.clone(), self.path.clone());
        let (ids, openings) = (Arc::clone(&self.ids), Arc::clone(&self.openings));
        tasks.spawn(async move {
            let mut last: Option<String> = None;
            loop {
                match ask(&api, &path, last.as_deref()).await {
                    Ok(response) if response.status() == StatusCode::OK => {
                        openings.fetch_add(1, Ordering::Relaxed);
                        let mut stream = EventSource::of(response, last.as_deref());
                        while let Some(event) = stream.next().await {
                            if let Some(id) = event.data["eventId"].as_str() {
                                ids.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
                            }
                        }
                        last.clone_from(&stream.last_event_id);
                    }
                    Ok(response) if response.status() == StatusCode::NO_CONTENT => return,
                    // The gateway or the order service is away, or the order is not placed yet.
                    Ok(_) | Err(_) => {}
                }
                sleep(PAUSE).await;
            }
        });
    }

    fn ids(&self) -> Vec<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self) -> usize {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
