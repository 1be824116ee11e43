//! A newer version was here: it left rows whose words this one does not know.

use contracts::OrderStatus;
use contracts::topology::Service;
use sqlx::AssertSqlSafe;

use super::{place, scenario};
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Orders of which the order is of the newer version, and as many of which the payment is.
const ORDERS: u32 = 25;

/// Fewer than there are messages that this version can't apply.
const PREFETCH: u32 = 10;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("rows of a newer version, and messages about them", |rig| Box::pin(newer_rows(rig)))]
}

async fn newer_rows(rig: &mut Rig<'_>) -> Outcome {
    let environment = vec![("PREFETCH", PREFETCH.to_string())];
    rig.start(&Plan { environment, ..Plan::default() }).await;
    let (api, load) = (rig.api(), rig.load());
    let mut held = place(&api, 2 * ORDERS).await;
    for placed in &held {
        api.order_becomes(placed.id, OrderStatus::Paid).await;
    }
    let (of_order, of_payment) = held.split_at(held.len() / 2);
    let ids = |placed: &[crate::faults::load::Placed]| {
        let quoted: Vec<_> = placed.iter().map(|placed| format!("'{}'", placed.id)).collect();
        quoted.join(", ")
    };
    let (orders, payments) = (ids(of_order), ids(of_payment));
    for (service, statement) in [
        (Service::Order, "ALTER TABLE orders DROP CONSTRAINT orders_status_check".to_owned()),
        (Service::Payment, "ALTER TABLE payments DROP CONSTRAINT payments_status_check".to_owned()),
        (Service::Payment, "ALTER TABLE payments DROP CONSTRAINT payments_next_step_check".to_owned()),
        (Service::Order, format!("UPDATE orders SET status = 'ON_HOLD' WHERE id IN ({orders})")),
        (
            Service::Payment,
            format!(
                "UPDATE payments SET status = 'DISPUTED', next_step = 'VERIFY', due_at = now() - interval '1 day'
                 WHERE order_id IN ({payments})"
            ),
        ),
    ] {
        execute(rig, service, statement).await;
    }
    for placed in &mut held {
        api.cancel(placed.id).await;
        placed.cancelled = true;
    }
    // Meanwhile the others are placed, paid, cancelled and refunded.
    load.wait_for_orders(100).await;
    for placed in place(&api, ORDERS).await {
        api.order_becomes(placed.id, OrderStatus::Paid).await;
        held.push(placed);
    }
    let records = load.stop().await;
    for (service, statement) in [
        (Service::Order, "UPDATE orders SET status = 'PAID' WHERE status = 'ON_HOLD'"),
        (
            Service::Payment,
            "UPDATE payments SET status = 'APPROVED', next_step = NULL, due_at = NULL WHERE status = 'DISPUTED'",
        ),
    ] {
        execute(rig, service, statement.to_owned()).await;
    }
    rig.fault_is_over();
    let mut all = records;
    all.placed.extend(held);
    rig.judge(all).await.note(format!(
        "{} cancellations held by consumers that take {PREFETCH} messages at once, and tried again every minute",
        2 * ORDERS
    ))
}

async fn execute(rig: &mut Rig<'_>, service: Service, statement: String) {
    let mut database = rig.database(service).await.expect("the database answers");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut database).await.expect("it can be changed");
}
