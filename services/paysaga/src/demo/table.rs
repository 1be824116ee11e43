//! The demo's result as a table.

use super::follower::FollowedOrder;
use crate::table;

/// One line an order.
#[must_use]
pub fn render(orders: &[FollowedOrder]) -> String {
    let header = ["kind", "order", "order status", "payment", "settled after", "trace"];
    let mut table = table::with_header(header);
    for order in orders {
        let [order_status, payment_status] = statuses(order);
        table.add_row([
            order.kind.name().to_owned(),
            or_dash(order.order_id),
            order_status,
            payment_status,
            order.settled.map_or_else(|| "✗".to_owned(), |time| format!("{:.2} s", time.as_secs_f32())),
            or_dash(order.trace.as_ref()),
        ]);
    }
    table.trim_fmt()
}

/// The last known statuses of order and payment.
pub(super) fn states(order: &FollowedOrder) -> String {
    statuses(order).join(", ")
}

fn statuses(order: &FollowedOrder) -> [String; 2] {
    [or_dash(order.order_status), or_dash(order.payment_status)]
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
