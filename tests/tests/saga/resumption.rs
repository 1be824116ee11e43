//! Streams that break off and are resumed: every step once, in order.

use std::time::Duration;

use contracts::{EventId, OrderStatus};
use futures_util::future::join_all;
use http::StatusCode;
use tests::event_source::{EventSource, ask};
use tests::{Api, Stack};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Steps of an order that is paid.
const STEPS: usize = 3;

/// A client that comes back after every few steps, each time at another gateway, until it has this many.
async fn read_in_pieces(gateways: &[Api], path: &str, wanted: usize, piece: usize) -> Vec<String> {
    let (mut ids, mut last) = (Vec::new(), None);
    for gateway in gateways.iter().cycle() {
        if ids.len() >= wanted {
            break;
        }
        let Ok(response) = ask(gateway, path, last.as_deref()).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if response.status() != StatusCode::OK {
            // The order service is away: for the order that it has not placed yet, too.
            let status = response.status();
            assert!(matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::NOT_FOUND), "{status}");
            sleep(Duration::from_millis(50)).await;
            continue;
        }
        let mut stream = EventSource::of(response, last.as_deref());
        for _ in 0..piece.min(wanted - ids.len()) {
            let Some(event) = stream.next().await else { break };
            ids.push(event.data["eventId"].as_str().expect("it has one").to_owned());
        }
        last = stream.last_event_id.clone();
    }
    ids
}

#[tokio::test]
async fn a_client_that_comes_back_at_any_gateway_has_every_step_once_and_in_order() {
    const ORDERS: usize = 60;
    let mut stack = Stack::start().await;
    let other_order = stack.another(&stack.order, &[]).await;
    let other_gateway = stack.another(&stack.gateway, &[("ORDER_SERVICE_URL", other_order.url())]).await;
    let gateways = [stack.api.clone(), Api::new(other_gateway.url())];

    // They begin before the first order, so that all of them are to come.
    let clients =
        [1, 2, 5, 7, 40].map(|piece| read_in_pieces(&gateways, "/api/events?after=0", ORDERS * STEPS, piece));
    // At the gateway that stays.
    let of_orders = async {
        let mut clients = JoinSet::new();
        for _ in 0..ORDERS {
            let (id, gateways) = (gateways[1].place("10.01").await, gateways.clone());
            clients.spawn(async move {
                (id, read_in_pieces(&gateways, &format!("/api/orders/{id}/events"), STEPS, 1).await)
            });
        }
        clients.join_all().await
    };
    let kills = async {
        stack.order.kill().await;
        stack.order.start_again().await;
        stack.gateway.kill().await;
        stack.gateway.start_again().await;
    };
    let (of_all, of_orders, ()) = tokio::join!(join_all(clients), of_orders, kills);

    for (id, ids) in of_orders {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
        let steps = stack.api.timeline(id).await.events;
        assert_eq!(ids, steps.iter().map(|step| step.event_id.to_string()).collect::<Vec<_>>());
    }
    let all = sqlx::query_scalar("SELECT event_id FROM order_events ORDER BY transaction, position");
    let all: Vec<EventId> = all.fetch_all(&stack.order_database).await.expect("the database answers");
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    for ids in of_all {
        assert_eq!(ids, all);
    }
}
