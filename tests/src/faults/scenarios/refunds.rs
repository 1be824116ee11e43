//! A payment provider that refuses to give money back.

use contracts::topology::Service;
use contracts::{OrderId, OrderStatus, PaymentId};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::scenario;
use crate::api::Api;
use crate::eventually;
use crate::faults::launch::Plan;
use crate::faults::load::Placed;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Orders whose refund is refused whenever it is asked for, and as many whose refund is refused for ten seconds.
const ORDERS: usize = 20;

/// Refunds that wait for a decision.
const REFUSED: &str = "SELECT count(*) FROM payments WHERE refund_refusal IS NOT NULL";

/// Refunds that the provider would refuse again.
const STILL_REFUSED: &str = "
    SELECT count(*) FROM provider_simulator.charges
    WHERE refunded_at IS NULL AND amount = 20.07 AND refund_refused_at > now() - interval '10 s'";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("the provider refuses refunds, operators decide", |rig| Box::pin(refused(rig)))]
}

async fn refused(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let (api, load) = (rig.api(), rig.load());
    let mut database = rig.database(Service::Payment).await.expect("the database answers");
    let (never, later) = (cancelled(&api, "20.06").await, cancelled(&api, "20.07").await);
    // What the provider answered to a process that dies is asked for again.
    rig.first_of(Service::Payment).kill().await;
    rig.first_of(Service::Payment).start_again().await;
    let count = i64::try_from(2 * ORDERS).expect("it is small");
    becomes(&mut database, REFUSED, count).await;
    rig.fault_is_over();
    for id in &never {
        let settlement = json!({"reference": format!("transfer {id}"), "note": "the account is closed"});
        decide(&api, *id, "settle", settlement).await;
    }
    becomes(&mut database, STILL_REFUSED, 0).await;
    for id in &later {
        decide(&api, *id, "retry", json!({"note": "the account is open again"})).await;
    }
    becomes(&mut database, REFUSED, 0).await;
    load.wait_for_orders(20).await;
    let mut records = load.stop().await;
    records.placed.extend([never, later].concat().into_iter().map(|id| Placed { id, cancelled: true }));
    rig.judge(records).await.note(format!(
        "{count} refunds refused, {ORDERS} of them settled by other means, {ORDERS} asked for again"
    ))
}

/// Orders that were paid, and then cancelled.
async fn cancelled(api: &Api, total: &str) -> Vec<OrderId> {
    let mut orders = Vec::new();
    for _ in 0..ORDERS {
        orders.push(api.place(total).await);
    }
    for id in &orders {
        api.order_becomes(*id, OrderStatus::Paid).await;
        api.cancel(*id).await;
    }
    orders
}

async fn becomes(database: &mut PgConnection, query: &'static str, expected: i64) {
    eventually(&format!("{expected} are counted by {query}"), async || {
        let count = sqlx::query_scalar::<_, i64>(query).fetch_one(&mut *database).await;
        match count.expect("the database answers") {
            count if count == expected => Ok(()),
            count => Err(format!("there are {count}")),
        }
    })
    .await;
}

/// Decides as an operator, which must be possible.
async fn decide(api: &Api, order: OrderId, decision: &str, body: Value) {
    let path = format!("/api/admin/payment/refunds/{}/{decision}", PaymentId::of_order(order));
    let response = api.request(Method::POST, &path).json(&body).send().await.expect("the gateway answers");
    assert_eq!(response.status(), StatusCode::OK, "{:?}", response.text().await);
}
