//! The demo's result as a table.

use super::follower::FollowedOrder;
use crate::jaeger::JaegerUrl;
use crate::table;

/// One line an order, and below it where its trace can be seen. Without a Jaeger, the id of its trace.
#[must_use]
pub fn render(orders: &[FollowedOrder], jaeger: Option<&JaegerUrl>) -> String {
    let mut header = vec!["kind", "order", "order status", "payment", "settled after"];
    if jaeger.is_none() {
        header.push("trace");
    }
    let mut table = table::with_header(header);
    for order in orders {
        let [order_status, payment_status] = statuses(order);
        let mut row = vec![
            order.kind.name().to_owned(),
            or_dash(order.order_id),
            order_status,
            payment_status,
            order.settled.map_or_else(|| "✗".to_owned(), |time| format!("{:.2} s", time.as_secs_f32())),
        ];
        if jaeger.is_none() {
            row.push(or_dash(order.trace.as_ref()));
        }
        table.add_row(row);
    }
    let rendered = table.trim_fmt();
    let Some(jaeger) = jaeger else { return rendered };
    let pages = orders
        .iter()
        .filter_map(|order| Some(format!("{:<20} {}", order.kind.name(), order.trace_page(jaeger)?)));
    let pages: Vec<String> = pages.collect();
    // A page a line of its own: a table as wide as that would be broken by most terminals, and no link then.
    format!("{rendered}\n\nThe trace of each, which Jaeger has some seconds later:\n\n{}", pages.join("\n"))
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
