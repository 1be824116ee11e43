//! The demo's result for people.

use super::course::Course;
use crate::table;

/// One line an order.
#[must_use]
pub fn render(courses: &[Course]) -> String {
    let header = ["kind", "order", "order status", "payment", "settled after", "trace"];
    let mut table = table::with_header(header);
    for course in courses {
        let [order, payment] = statuses(course);
        table.add_row([
            course.kind.name().to_owned(),
            or_dash(course.order_id),
            order,
            payment,
            course.settled.map_or_else(|| "✗".to_owned(), |time| format!("{:.2} s", time.as_secs_f32())),
            or_dash(course.trace.as_ref()),
        ]);
    }
    table.trim_fmt()
}

/// Where order and payment were seen last.
pub(super) fn states(course: &Course) -> String {
    statuses(course).join(", ")
}

fn statuses(course: &Course) -> [String; 2] {
    [or_dash(course.order_status), or_dash(course.payment_status)]
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
