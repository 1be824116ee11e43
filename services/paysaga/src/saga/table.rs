//! A saga for the terminal.

use std::time::Duration;

use contracts::Word;
use contracts::order::Order;
use contracts::payment::Payment;
use contracts::refund::RefundDetails;
use serde_json::Value;

use super::{Saga, Step, Wait};
use crate::table;

/// Where order and payment stand, and below it the timeline.
#[must_use]
pub fn render(saga: &Saga) -> String {
    let mut lines = Vec::new();
    lines.extend(match &saga.order {
        Some(order) => of_order(order),
        None => vec![field("order", "not placed yet; its cancellation came first")],
    });
    lines.extend(match &saga.payment {
        Some(payment) => of_payment(payment),
        None => vec![field("payment", "none")],
    });
    lines.extend(saga.refund.as_ref().map(of_refund));
    lines.push(String::new());
    if saga.events.is_empty() {
        lines.push(
            "no timeline: it was deleted (RETENTION_TIMELINE), or the order service keeps none".to_owned(),
        );
    } else {
        lines.push(timeline(&saga.events, saga.waiting.as_ref()));
    }
    lines.join("\n")
}

/// A line of the part above the timeline.
#[must_use]
pub fn field(name: &str, value: &str) -> String {
    format!("{name:<15} {value}")
}

fn of_order(order: &Order<Word, Word>) -> Vec<String> {
    let reason = order.cancel_reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    vec![
        field("order", &order.id.to_string()),
        field("  status", &format!("{}{reason} since {}", order.status, order.updated_at)),
        field("  total", &order.total.to_string()),
    ]
}

fn of_payment(payment: &Payment<Word>) -> Vec<String> {
    let mut lines = vec![
        field("payment", &payment.id.to_string()),
        field("  status", &format!("{} since {}", payment.status, payment.updated_at)),
        field("  attempts", &payment.attempts.to_string()),
    ];
    lines.extend(payment.transaction_id.as_ref().map(|id| field("  transaction", id)));
    lines.extend(payment.last_error.as_ref().map(|error| field("  last error", error)));
    lines
}

fn of_refund(RefundDetails { refund, audit }: &RefundDetails) -> String {
    let reason = refund.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let decided = audit.last().map(|entry| format!("; {} by {} at {}", entry.action, entry.actor, entry.at));
    let decided = decided.unwrap_or_default();
    field("  refund", &format!("{}{reason}, owed since {}{decided}", refund.status, refund.since))
}

fn timeline(steps: &[Step], waiting: Option<&Wait>) -> String {
    let mut table = table::with_header(["time", "gap", "service", "event", "order status", "reason", ""]);
    for step in steps {
        table.add_row([
            step.entry.occurred_at.to_string(),
            step.gap_ms.map(gap).unwrap_or_default(),
            step.service.unwrap_or("–").to_owned(),
            step.entry.event_type.clone(),
            step.entry.status.clone().unwrap_or_else(|| "–".to_owned()),
            reason(&step.entry.payload),
            mark(step.is_longest_wait),
        ]);
    }
    if let Some(wait) = waiting {
        let what = format!("… waits for {}", wait.what);
        let mark = mark(wait.is_longest_wait);
        table.add_row([
            "now".to_owned(),
            gap(wait.gap_ms),
            String::new(),
            what,
            String::new(),
            String::new(),
            mark,
        ]);
    }
    table.trim_fmt()
}

fn mark(is_longest_wait: bool) -> String {
    if is_longest_wait { "← the longest wait".to_owned() } else { String::new() }
}

/// Why something happened, by the event's payload.
fn reason(payload: &Value) -> String {
    let reason = ["reason", "error"].into_iter().find_map(|name| payload.get(name)?.as_str());
    reason.unwrap_or_default().to_owned()
}

/// To the millisecond below a minute, to the second from there on.
fn gap(milliseconds: i64) -> String {
    const MINUTE: Duration = Duration::from_mins(1);
    let sign = if milliseconds < 0 { '-' } else { '+' };
    let gap = Duration::from_millis(milliseconds.unsigned_abs());
    if gap < MINUTE {
        format!("{sign}{:.3} s", gap.as_secs_f64())
    } else {
        format!("{sign}{}", humantime::format_duration(Duration::from_secs(gap.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_as_precise_as_it_has_to_be() {
        for (milliseconds, shown) in [
            (0, "+0.000 s"),
            (16, "+0.016 s"),
            (-100, "-0.100 s"),
            (59_999, "+59.999 s"),
            (3_661_500, "+1h 1m 1s"),
        ] {
            assert_eq!(gap(milliseconds), shown);
        }
    }
}
