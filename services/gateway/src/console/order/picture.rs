//! The saga of an order as a picture: when what happened at the order service, the payment service and the provider.

use contracts::order::TimelineEntry;
use contracts::{Timestamp, Word};
use maud::{Markup, html};

use crate::console::format::between;

/// A step of the timeline, as any version has it.
pub(super) type Step = TimelineEntry<Word, Word>;

const WIDTH: i32 = 900;
const LANES: [(&str, i32); 3] = [("order", 40), ("payment", 110), ("provider", 180)];

/// Draws steps from left to right, one place each. The time between two of them is written where it passes.
pub(super) fn picture(steps: &[Step]) -> Markup {
    let count = i32::try_from(steps.len()).unwrap_or(i32::MAX).max(1);
    let place = |number: usize| {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        110 + (WIDTH - 160) * number / count
    };
    let longest = steps.windows(2).map(|pair| distance(&pair[0], &pair[1])).max().unwrap_or_default();
    html! {
        svg.saga viewBox={ "0 0 " (WIDTH) " 230" } role="img" aria-label=(described(steps)) {
            @for (name, y) in LANES {
                line.lane x1="90" y1=(y) x2=(WIDTH) y2=(y) {}
                text x="0" y=(y + 4) { (name) }
            }
            @for (number, step) in steps.iter().enumerate() {
                @let (x, y) = (place(number), lane(&step.event_type));
                @if let Some(before) = number.checked_sub(1) {
                    @let (from, passed) = (&steps[before], distance(&steps[before], step));
                    line.arrow.gap[passed == longest && longest > 0] x1=(place(before)) y1=(lane(&from.event_type)) x2=(x) y2=(y) {}
                    text.dim x=(i32::midpoint(place(before), x)) y=(i32::midpoint(lane(&from.event_type), y) - 8) text-anchor="middle" {
                        (between(from.occurred_at, step.occurred_at))
                    }
                }
                circle.step.bad[is_bad(&step.event_type)] cx=(x) cy=(y) r="6" {
                    title { (step.event_type) " " (step.occurred_at) }
                }
                text x=(x) y=(y + 22) text-anchor="middle" { (step.event_type) }
            }
        }
    }
}

/// The picture in words, for those who don't see it; the table below has all of it.
fn described(steps: &[Step]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step.event_type.as_str()).collect();
    format!("The saga's steps in their order: {}", names.join(", "))
}

/// Whose doing a step is.
fn lane(event_type: &str) -> i32 {
    let [(_, order), (_, payment), (_, provider)] = LANES;
    match event_type {
        "PaymentApproved" | "PaymentDeclined" | "PaymentFailed" | "PaymentRefunded" => provider,
        "PaymentCancelled" => payment,
        _ => order,
    }
}

fn is_bad(event_type: &str) -> bool {
    matches!(event_type, "PaymentDeclined" | "PaymentFailed")
}

fn distance(from: &Step, to: &Step) -> i64 {
    let milliseconds = |at: Timestamp| at.as_datetime().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(milliseconds(to.occurred_at) - milliseconds(from.occurred_at)).unwrap_or_default()
}
