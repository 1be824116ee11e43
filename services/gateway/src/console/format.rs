//! How times, amounts and durations are written.

use contracts::{Money, Timestamp};
use maud::{Markup, html};

/// A time. Its title is in UTC; the script writes it in the viewer's zone.
pub(super) fn time(at: Timestamp) -> Markup {
    let utc = at.to_string();
    let readable = utc.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(utc) title=(readable) { (readable) } }
}

/// A time, or a dash where there is none.
pub(super) fn maybe_time(at: Option<Timestamp>) -> Markup {
    at.map_or_else(|| html! { "–" }, time)
}

/// How far apart two times are.
pub(super) fn between(from: Timestamp, to: Timestamp) -> String {
    let span = to.as_datetime() - from.as_datetime();
    span_of(i64::try_from(span.whole_milliseconds()).unwrap_or(i64::MAX))
}

/// So many milliseconds, in the unit that fits.
pub(super) fn span_of(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        ..0 => "0 ms".to_owned(),
        0..1000 => format!("{milliseconds} ms"),
        1000..10_000 => format!("{seconds}.{} s", (milliseconds % 1000) / 100),
        _ => match seconds {
            ..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            7200..172_800 => format!("{} h", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        },
    }
}

/// How long ago something was.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let utc = at.to_string().replace('T', " ").replace('Z', " UTC");
    html! { time.ago datetime=(at) title=(utc) { (between(at, now)) " ago" } }
}

/// How long until something is.
pub(super) fn until(at: Timestamp, now: Timestamp) -> Markup {
    let utc = at.to_string().replace('T', " ").replace('Z', " UTC");
    let text = if at <= now { "now".to_owned() } else { format!("in {}", between(now, at)) };
    html! { time.ago datetime=(at) title=(utc) { (text) } }
}

/// A number with thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The beginning of a text.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An amount, or a dash.
pub(super) fn amount(amount: Option<Money>) -> String {
    amount.map_or_else(|| "–".to_owned(), |amount| amount.to_string())
}

/// A status in the colour of what it means. The word alone says it too.
pub(super) fn status(status: &str) -> Markup {
    let class = match status {
        "PAID" | "APPROVED" | "COMPLETED" | "HANDLED" | "REPLAYED" | "BALANCED" | "SETTLED" => "good",
        "FAILED"
        | "DECLINED"
        | "STOPPED"
        | "FAILED_AGAIN"
        | "COMPLETED_WITH_FAILURES"
        | "DISAGREE"
        | "REFUSED" => "bad",
        "PENDING_PAYMENT" | "PROCESSING" | "RUNNING" | "REPLAYING" | "PAUSED" | "OPEN" | "UNKNOWN"
        | "WAITING" => "busy",
        _ => "plain",
    };
    html! { span.status.(class) { (status) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_in_the_unit_that_fits() {
        for (milliseconds, text) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1500, "1.5 s"),
            (59_999, "59 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (200_000_000, "2 days"),
        ] {
            assert_eq!(span_of(milliseconds), text);
        }
    }

    #[test]
    fn thousands_are_kept_apart() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
