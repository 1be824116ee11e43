//! The timeline with the time between its steps.

use contracts::order::TimelineEntry;
use contracts::topology::ROUTES;
use contracts::{EventType, Timestamp, Word};
use serde::Serialize;

/// A step of a saga.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The service that published the event; `None` for an event of a newer version.
    pub service: Option<&'static str>,
    /// The event.
    #[serde(flatten)]
    pub entry: TimelineEntry<Word, Word>,
    /// The time since the step before, in milliseconds; `None` for the first. Below 0 if that overtook this one, or if the clocks of
    /// the services' hosts differ.
    pub gap_ms: Option<i64>,
    /// Whether nothing in this saga was waited for longer.
    pub is_longest_wait: bool,
}

/// What a saga waits for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// What has not happened yet.
    #[serde(rename = "for")]
    pub what: &'static str,
    /// Since the last step, by this machine's clock, in milliseconds.
    pub gap_ms: i64,
    /// Whether nothing in this saga was waited for longer.
    pub is_longest_wait: bool,
}

impl Wait {
    /// Waiting for `what` since the last step; `None` if there is no step.
    pub(super) fn since_last(steps: &[Step], what: &'static str, now: Timestamp) -> Option<Self> {
        let last = steps.last()?;
        Some(Self { what, gap_ms: milliseconds(last.entry.occurred_at, now), is_longest_wait: false })
    }
}

/// The steps of a timeline.
pub(super) fn of(timeline: Vec<TimelineEntry<Word, Word>>) -> Vec<Step> {
    let mut before = None;
    timeline
        .into_iter()
        .map(|entry| {
            let gap_ms = before.map(|before| milliseconds(before, entry.occurred_at));
            before = Some(entry.occurred_at);
            let event_type: Option<EventType> = entry.event_type.parse().ok();
            let route = event_type.and_then(|it| ROUTES.iter().find(|route| route.event_type == it));
            let service = route.map(|route| route.publisher.name());
            Step { service, entry, gap_ms, is_longest_wait: false }
        })
        .collect()
}

/// Marks what was waited for the longest. The time until a customer cancels is the customer's.
pub(super) fn mark_longest(steps: &mut [Step], waiting: Option<&mut Wait>) {
    let command = EventType::OrderCancelRequested.to_string();
    let of_step = steps
        .iter_mut()
        .filter(|step| step.entry.event_type != command)
        .filter_map(|step| Some((step.gap_ms?, &mut step.is_longest_wait)));
    let of_waiting = waiting.map(|waiting| (waiting.gap_ms, &mut waiting.is_longest_wait));
    if let Some((gap_ms, is_longest)) = of_step.chain(of_waiting).max_by_key(|(gap_ms, _)| *gap_ms) {
        *is_longest = gap_ms > 0;
    }
}

fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    let gap = (to.as_datetime() - from.as_datetime()).whole_milliseconds();
    i64::try_from(gap).unwrap_or(if gap < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn steps(events: &[(&str, &str)]) -> Vec<Step> {
        let entry = |(event_type, time): &(&str, &str)| {
            let occurred_at: Timestamp = format!("2026-01-02T03:{time}Z").parse().unwrap();
            TimelineEntry {
                event_id: Uuid::new_v4().into(),
                event_type: (*event_type).to_owned(),
                occurred_at,
                recorded_at: occurred_at,
                status: None,
                payload: Value::Null,
            }
        };
        of(events.iter().map(entry).collect())
    }

    fn marked(steps: &[Step]) -> Vec<&str> {
        let marked = steps.iter().filter(|step| step.is_longest_wait);
        marked.map(|step| step.entry.event_type.as_str()).collect()
    }

    const CANCELLED: [(&str, &str); 6] = [
        ("CreateOrderRequested", "00:00.000"),
        ("OrderCreated", "00:00.020"),
        ("PaymentApproved", "00:05.020"),
        ("OrderCancelRequested", "59:00.000"),
        ("OrderCancelled", "59:00.010"),
        ("PaymentRefunded", "59:00.400"),
    ];

    #[test]
    fn the_longest_wait_is_marked_and_that_of_a_customer_is_not() {
        let mut steps = steps(&CANCELLED);
        mark_longest(&mut steps, None);
        assert_eq!(marked(&steps), ["PaymentApproved"]);
        let gaps: Vec<_> = steps.iter().map(|step| step.gap_ms).collect();
        assert_eq!(gaps, [None, Some(20), Some(5_000), Some(3_534_980), Some(10), Some(390)]);
        let services: Vec<_> = steps.iter().filter_map(|step| step.service).collect();
        assert_eq!(services, ["gateway", "order", "payment", "gateway", "order", "payment"]);
    }

    #[test]
    fn what_is_still_waited_for_may_be_the_longest() {
        let mut steps = steps(&CANCELLED[..2]);
        let now = "2026-01-02T03:00:09.000Z".parse().unwrap();
        let mut waiting = Wait::since_last(&steps, "the payment provider", now).unwrap();
        mark_longest(&mut steps, Some(&mut waiting));
        assert!(waiting.is_longest_wait && waiting.gap_ms == 8_980 && marked(&steps).is_empty());
    }

    #[test]
    fn an_event_of_a_newer_version_and_one_that_was_overtaken_are_shown() {
        let mut steps = steps(&[("OrderCreated", "00:01.000"), ("OrderBlessed", "00:00.900")]);
        mark_longest(&mut steps, None);
        assert_eq!((steps[1].service, steps[1].gap_ms), (None, Some(-100)));
        assert!(marked(&steps).is_empty());
    }
}
