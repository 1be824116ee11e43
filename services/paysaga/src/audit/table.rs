//! A report as tables.

use super::report::Report;
use crate::table;

/// What was looked at, then one line a finding.
#[must_use]
pub fn render(report: &Report) -> String {
    let Report {
        orders,
        settled,
        in_flight,
        paid,
        held,
        outbox,
        failed_messages,
        refused_refunds,
        newer_rows,
        queued,
        audit_head,
        findings,
    } = report;
    let mut sums = table::with_header(["what", "how many or how much"]);
    for (what, value) in [
        ("orders", Some(orders.to_string())),
        ("settled", Some(settled.to_string())),
        ("in flight", Some(in_flight.to_string())),
        ("paid orders, together", Some(paid.to_string())),
        ("held by the provider", held.map(|held| held.to_string())),
        ("messages in outboxes", outbox.map(|count| count.to_string())),
        ("messages in queues", queued.map(|count| count.to_string())),
        ("failed messages", failed_messages.map(|count| count.to_string())),
        ("refused refunds", refused_refunds.map(|count| count.to_string())),
        ("rows of a newer version", Some(newer_rows.to_string())),
        ("end of the audit's chain", audit_head.map(|head| head.to_string())),
    ] {
        sums.add_row([what.to_owned(), value.unwrap_or_else(|| "not looked at".to_owned())]);
    }
    let mut text = sums.trim_fmt();
    if !findings.is_empty() {
        let mut wrong = table::with_header(["invariant", "order", "what is wrong"]);
        for finding in findings {
            let order = finding.order_id.map_or_else(|| "–".to_owned(), |id| id.to_string());
            wrong.add_row([finding.invariant.to_owned(), order, finding.what.clone()]);
        }
        text = format!("{text}\n\n{}", wrong.trim_fmt());
    }
    text
}
