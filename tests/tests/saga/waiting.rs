//! Waiting for an order to settle: `Prefer: wait` at the gateway, `?wait=` at the order service.

use std::time::Duration;

use contracts::order::Order;
use contracts::topology::Service;
use contracts::{OrderId, OrderStatus};
use http::StatusCode;
use reqwest::{Client, Response};
use rustix::process::Signal;
use tests::api::{order, refused};
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::{Stack, eventually};

#[tokio::test]
async fn whichever_replica_settles_an_order_those_who_wait_at_any_are_answered() {
    let stack = Stack::start().await;
    let mut environment = stack.order.environment().clone();
    environment.remove("PORT");
    let mut other = ServiceProcess::start(Service::Order, environment, stack.logs()).await;
    other.ready().await;
    let held = stack.block_provider().await;
    let id = placed(&stack).await;
    let (here, there) = (wait(&stack.order, id, "30000"), wait(&other, id, "30000"));
    let release = async {
        stack.api.charge_begins(id).await;
        held.release().await;
    };
    let (here, there, ()) = tokio::join!(here, there, release);
    for response in [here, there] {
        assert_eq!(found(response).await.status, OrderStatus::Paid);
    }
    assert_eq!(other.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_order_is_waited_for_before_it_exists() {
    let stack = Stack::start().await;
    let id = OrderId::new();
    let (response, ()) = tokio::join!(wait(&stack.order, id, "30000"), stack.amqp.place(id, None));
    assert_eq!(found(response).await.status, OrderStatus::Paid);
}

#[tokio::test]
async fn who_has_waited_long_enough_is_answered_as_things_are() {
    let stack = Stack::start().await;
    let _held = stack.block_provider().await;
    let id = placed(&stack).await;
    for time in ["0", "50"] {
        assert_eq!(found(wait(&stack.order, id, time).await).await.status, OrderStatus::PendingPayment);
    }
    assert_eq!(wait(&stack.order, OrderId::new(), "50").await.status(), StatusCode::NOT_FOUND);
    for wrong in ["soon", "-1", "1.5", ""] {
        let response = wait(&stack.order, id, wrong).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, wrong).await, ["wait"]);
    }
}

#[tokio::test]
async fn a_service_that_stops_answers_those_who_wait() {
    let mut stack = Stack::start().await;
    let _held = stack.block_provider().await;
    let id = placed(&stack).await;
    let stop = async {
        // The other request has been sent before this one is answered.
        found(wait(&stack.order, id, "0").await).await;
        stack.order.signal(Signal::TERM);
    };
    let (response, ()) = tokio::join!(wait(&stack.order, id, "60000"), stop);
    assert_eq!(found(response).await.status, OrderStatus::PendingPayment);
    assert_eq!(stack.order.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_client_waits_while_the_order_service_is_started_again() {
    let mut stack = Stack::start().await;
    let held = stack.block_provider().await;
    let waiting = stack.api.post_order(order("10.01")).header("prefer", "wait=30").send();
    let api = stack.api.clone();
    let restart = async {
        let id = eventually("the order exists", async || {
            let orders: contracts::page::Page<Order> = api.read("/api/orders").await;
            orders.data.first().map(|order| order.id).ok_or("it does not")
        })
        .await;
        stack.order.kill().await;
        stack.order.start_again().await;
        api.charge_begins(id).await;
        held.release().await;
    };
    let (response, ()) = tokio::join!(waiting, restart);
    assert_eq!(found(response.expect("an answer")).await.status, OrderStatus::Paid);
}

/// An order that exists.
async fn placed(stack: &Stack) -> OrderId {
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    id
}

async fn wait(service: &ServiceProcess, id: OrderId, time: &str) -> Response {
    let request =
        Client::new().get(format!("{}/orders/{id}?wait={time}", service.url())).bearer_auth(SERVICE_TOKEN);
    request.timeout(Duration::from_mins(1)).send().await.expect("the service answers")
}

async fn found(response: Response) -> Order {
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.expect("an order")
}
