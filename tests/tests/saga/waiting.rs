//! Waiting for an order to settle: `Prefer: wait`.

use contracts::order::Order;
use contracts::{OrderId, OrderStatus};
use http::StatusCode;
use reqwest::{Client, Response};
use tests::api::{IdempotencyKey, order};
use tests::mute_order_service::MuteOrderService;
use tests::service::SERVICE_TOKEN;
use tests::{Api, Stack, eventually};

#[tokio::test]
async fn whichever_replica_settles_an_order_those_who_wait_at_any_are_answered() {
    let stack = Stack::start().await;
    let mut other_order = stack.another(&stack.order, &[]).await;
    let mut other_gateway = stack.another(&stack.gateway, &[("ORDER_SERVICE_URL", other_order.url())]).await;
    let held = stack.block_provider().await;
    let key = IdempotencyKey("k-1");
    let there = Api::new(other_gateway.url());
    let (here, there) = (post_and_wait(&stack.api, key), post_and_wait(&there, key));
    let release = async {
        stack.api.charge_begins(only_order(&stack.api).await).await;
        held.release().await;
    };
    let (here, there, ()) = tokio::join!(here, there, release);
    let [here, there] = [found(here).await, found(there).await];
    assert_eq!((here.id, here.status), (there.id, OrderStatus::Paid));
    for service in [&mut other_gateway, &mut other_order] {
        assert_eq!(service.stop().await.code(), Some(0));
    }
}

#[tokio::test]
async fn an_order_is_waited_for_before_it_exists() {
    let mut stack = Stack::start().await;
    stack.order.kill().await;
    let waiting = stack.api.post_order(order("10.01")).header("prefer", "wait=30").send();
    let (response, ()) = tokio::join!(waiting, stack.order.start_again());
    assert_eq!(found(response.expect("an answer")).await.status, OrderStatus::Paid);
}

#[tokio::test]
async fn who_has_waited_long_enough_gets_the_202_of_those_who_do_not_wait() {
    let stack = Stack::start().await;
    let _held = stack.block_provider().await;
    for prefer in ["wait=0", "wait=1"] {
        let response = stack.api.post_order(order("10.01")).header("prefer", prefer).send().await;
        let response = response.expect("an answer");
        assert_eq!(
            (response.status(), response.headers().get("preference-applied")),
            (StatusCode::ACCEPTED, None),
            "{prefer}"
        );
    }
}

#[tokio::test]
async fn a_client_waits_while_the_order_service_is_started_again() {
    let mut stack = Stack::start().await;
    let held = stack.block_provider().await;
    let waiting = stack.api.post_order(order("10.01")).header("prefer", "wait=30").send();
    let api = stack.api.clone();
    let restart = async {
        let id = only_order(&api).await;
        stack.order.kill().await;
        stack.order.start_again().await;
        api.charge_begins(id).await;
        held.release().await;
    };
    let (response, ()) = tokio::join!(waiting, restart);
    assert_eq!(found(response.expect("an answer")).await.status, OrderStatus::Paid);
}

#[tokio::test]
async fn a_client_waits_for_an_order_service_that_can_not_tell_what_changes() {
    let stack = Stack::start().await;
    let older = MuteOrderService::start(stack.order.address()).await;
    let gateway = stack.another(&stack.gateway, &[("ORDER_SERVICE_URL", older.url())]).await;
    let held = stack.block_provider().await;
    let api = Api::new(gateway.url());
    let release = async {
        stack.api.charge_begins(only_order(&stack.api).await).await;
        held.release().await;
    };
    let (response, ()) = tokio::join!(post_and_wait(&api, IdempotencyKey("k-1")), release);
    assert_eq!(found(response).await.status, OrderStatus::Paid);
    assert!(older.was_asked(), "it was asked what changes");
}

#[tokio::test]
async fn a_gateway_of_an_older_version_is_answered_as_things_are_and_asks_again() {
    let stack = Stack::start().await;
    let _held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::PendingPayment).await;
    let request = Client::new().get(format!("{}/orders/{id}?wait=30000", stack.order.url()));
    let response = request.bearer_auth(SERVICE_TOKEN).send().await.expect("the service answers");
    assert_eq!(found(response).await.status, OrderStatus::PendingPayment);
}

async fn post_and_wait(api: &Api, key: IdempotencyKey<'_>) -> Response {
    api.post_keyed(key, "10.01").header("prefer", "wait=30").send().await.expect("an answer")
}

/// The one order that there is, once it is.
async fn only_order(api: &Api) -> OrderId {
    eventually("the order exists", async || {
        let orders: contracts::page::Page<Order> = api.read("/api/orders").await;
        orders.data.first().map(|order| order.id).ok_or("it does not")
    })
    .await
}

async fn found(response: Response) -> Order {
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.expect("an order")
}
