//! The overview: what an operator looks at first.

use std::time::Duration;

use chassis::http::Response;
use contracts::Timestamp;
use contracts::books::{BooksSummary, BooksVerdict};
use contracts::overview::{
    OrderOverview, OrderSample, Overview, PaymentOverview, PaymentSample, SAMPLE_SECONDS, Waiting,
};
use futures_util::FutureExt;
use maud::{Markup, html};

use super::format::{ago, count, span_of};
use super::layout::Section;
use super::live::Live;
use super::sparkline::{short, sparkline};
use super::visit::Visit;

/// How often the overview is written anew.
const EVERY: Duration = Duration::from_secs(2);

/// `GET /console`
pub(super) async fn page(visit: Visit) -> Response {
    let content = html! {
        h1 { "Overview" }
        div hx-sse:connect="/console/live" hx-swap="innerMorph" { (part(&visit).await) }
    };
    visit.answer(Section::Overview, "Overview", Ok(content))
}

/// `GET /console/live`
pub(super) async fn live(visit: Visit) -> Response {
    Live { visit, every: EVERY, listening: None }.response(|visit| part(visit).map(Ok).boxed()).await
}

async fn part(visit: &Visit) -> Markup {
    write(&*visit.gateway.overviews.get(&visit.gateway, visit.asker()).await)
}

fn write(overview: &Overview) -> Markup {
    let now = overview.at;
    html! {
        @match &overview.order {
            Some(order) => (orders(order, now)),
            None => (away("order")),
        }
        @match &overview.payment {
            Some(payment) => (payments(payment, now)),
            None => (away("payment")),
        }
        h2 { "Books" }
        @match &overview.books {
            Some(books) => (balance(books, now)),
            None => p.problem role="status" { "Whether they balance is not known now: the order service does not answer." }
        }
    }
}

fn away(service: &str) -> Markup {
    html! {
        h2 { "The " (service) " service" }
        p.problem role="status" { "It does not answer. What it has is not known now." }
    }
}

/// A value with its name, and what it was in the last hour.
struct Tile<'a> {
    name: &'a str,
    value: Markup,
    note: Markup,
    chart: Option<Markup>,
    is_bad: bool,
}

impl Tile<'_> {
    fn write(&self) -> Markup {
        let Self { name, value, note, chart, is_bad } = self;
        html! {
            li.tile.bad-tile[*is_bad] {
                h3 { (name) @if *is_bad { " " strong.bad { "!" span.hidden { " look at it" } } } }
                p.value { (value) }
                p.note { (note) }
                @if let Some(chart) = chart { (chart) }
            }
        }
    }
}

fn orders(order: &OrderOverview, now: Timestamp) -> Markup {
    let samples = &order.samples;
    let last = order.last_whole(now);
    let chart = |name: &str, value: fn(&OrderSample) -> Option<f64>| {
        let points: Vec<_> = samples.iter().map(|sample| (sample.at, value(sample))).collect();
        Some(sparkline(name, now, &points))
    };
    let hour = |value: fn(&OrderSample) -> u64| count(samples.iter().map(value).sum());
    let oldest = order.oldest_pending.map(|at| html! { "oldest " (ago(at, now)) });
    let tiles = [
        Tile {
            name: "Accepted per second",
            value: rate(last.map(|sample| sample.placed)),
            note: html! { (hour(|sample| sample.placed)) " in the last hour" },
            chart: chart("Accepted per second", |sample| Some(per_second(sample.placed))),
            is_bad: false,
        },
        Tile {
            name: "Settled per second",
            value: rate(last.map(OrderSample::settled)),
            note: html! { (hour(OrderSample::settled)) " in the last hour" },
            chart: chart("Settled per second", |sample| Some(per_second(sample.settled()))),
            is_bad: false,
        },
        Tile {
            name: "In flight",
            value: html! { (count(order.pending)) },
            note: html! {
                @if let Some(oldest) = oldest { (oldest) } @else { "none waits" }
                @if order.overdue > 0 { ", " strong.bad { (count(order.overdue)) " overdue" } }
            },
            chart: chart("In flight", |sample| sample.pending.map(real)),
            is_bad: order.overdue > 0,
        },
        Tile {
            name: "Time to settle",
            value: milliseconds(last.and_then(|sample| sample.settle_p50_ms)),
            note: html! { "half of them; 99 in 100: " (milliseconds(last.and_then(|sample| sample.settle_p99_ms))) },
            chart: chart("Time to settle, 99 in 100", |sample| sample.settle_p99_ms.map(real)),
            is_bad: false,
        },
        Tile {
            name: "Outcomes of the last hour",
            value: html! { (hour(|sample| sample.paid)) small { " PAID" } },
            note: html! { (hour(|sample| sample.cancelled)) " CANCELLED, " (hour(|sample| sample.failed)) " FAILED" },
            chart: chart("CANCELLED and FAILED", |sample| Some(real(sample.cancelled + sample.failed))),
            is_bad: false,
        },
    ];
    let waiting = waiting(
        &order.waiting,
        "order",
        chart("Outbox", |sample| sample.outbox.map(real)),
        chart("Messages in queues", |sample| sample.queued.map(real)),
        chart("Failed messages", |sample| sample.failed_messages.map(real)),
    );
    html! {
        h2 { "Orders" }
        ul.tiles { @for tile in tiles.iter().chain(&waiting) { (tile.write()) } }
    }
}

fn payments(payment: &PaymentOverview, now: Timestamp) -> Markup {
    let samples = &payment.samples;
    let last = payment.last_whole(now);
    let chart = |name: &str, value: fn(&PaymentSample) -> Option<f64>| {
        let points: Vec<_> = samples.iter().map(|sample| (sample.at, value(sample))).collect();
        Some(sparkline(name, now, &points))
    };
    let tiles = [
        Tile {
            name: "Provider's answers per second",
            value: rate(last.map(|sample| sample.answered)),
            note: html! {
                "without an answer in the last hour: " (count(samples.iter().map(|sample| sample.unanswered).sum()))
            },
            chart: chart("Provider's answers per second", |sample| Some(per_second(sample.answered))),
            is_bad: last.is_some_and(|sample| sample.unanswered > 0),
        },
        Tile {
            name: "Provider's latency",
            value: milliseconds(last.and_then(|sample| sample.provider_p50_ms)),
            note: html! { "half of them; 99 in 100: " (milliseconds(last.and_then(|sample| sample.provider_p99_ms))) },
            chart: chart("Provider's latency, 99 in 100", |sample| sample.provider_p99_ms.map(real)),
            is_bad: false,
        },
        Tile {
            name: "Circuit breaker",
            value: html! {
                @match payment.breakers_open { Some(0) => "closed", Some(_) => "open", None => "–" }
            },
            note: html! {
                @match payment.breakers_open {
                    Some(0) => "The provider is asked.",
                    Some(open) => {
                        "The provider does not answer: " (open) " of " (payment.waiting.replicas) " replicas don't ask it."
                    }
                    None => "No replica has told it lately.",
                }
            },
            chart: None,
            is_bad: payment.breakers_open.is_some_and(|open| open > 0),
        },
        Tile {
            name: "Outcome unknown",
            value: html! { (count(payment.unknown)) },
            note: html! { "payments wait for an answer that did not come; " (count(payment.due)) " steps are due" },
            chart: chart("Outcome unknown", |sample| sample.unknown.map(real)),
            is_bad: payment.unknown > 0,
        },
        Tile {
            name: "Refused refunds",
            value: html! { a href="/console/refunds?status=REFUSED" { (count(payment.refused_refunds)) } },
            note: html! { "wait for a decision" },
            chart: None,
            is_bad: payment.refused_refunds > 0,
        },
    ];
    let waiting = waiting(
        &payment.waiting,
        "payment",
        chart("Outbox", |sample| sample.outbox.map(real)),
        chart("Messages in queues", |sample| sample.queued.map(real)),
        chart("Failed messages", |sample| sample.failed_messages.map(real)),
    );
    html! {
        h2 { "Payments" }
        ul.tiles { @for tile in tiles.iter().chain(&waiting) { (tile.write()) } }
    }
}

/// What waits in a service, with its charts.
fn waiting(
    waiting: &Waiting,
    service: &str,
    outbox: Option<Markup>,
    queues: Option<Markup>,
    failed: Option<Markup>,
) -> [Tile<'static>; 3] {
    let oldest = waiting
        .outbox_oldest_seconds
        .map(|seconds| span_of(i64::try_from(seconds * 1000).unwrap_or(i64::MAX)));
    let messages: u64 = waiting.queues.iter().map(|queue| queue.messages).sum();
    let longest = waiting.queues.iter().max_by_key(|queue| queue.messages).filter(|queue| queue.messages > 0);
    let without_consumers = waiting.queues.iter().any(|queue| queue.consumers == 0);
    [
        Tile {
            name: "Outbox",
            value: html! { (count(waiting.outbox)) },
            note: html! {
                @if let Some(oldest) = &oldest { "the oldest event for " (oldest) } @else { "every event is on the broker" }
            },
            chart: outbox,
            is_bad: waiting.outbox_oldest_seconds.is_some_and(|seconds| seconds >= 30),
        },
        Tile {
            name: "Queues",
            value: html! { @if waiting.queues.is_empty() { "–" } @else { (count(messages)) } },
            note: html! {
                @if waiting.queues.is_empty() { "the broker does not answer" }
                @else if without_consumers { strong.bad { "a queue has no consumer" } }
                @else if let Some(longest) = longest { "most in " (longest.queue) }
                @else { "empty; " (waiting.replicas) @if waiting.replicas == 1 { " replica" } @else { " replicas" } }
            },
            chart: queues,
            is_bad: waiting.queues.is_empty() || without_consumers,
        },
        Tile {
            name: "Failed messages",
            value: html! { a href={ "/console/failed#" (service) } { (count(waiting.failed_messages)) } },
            note: html! { "wait for a decision" },
            chart: failed,
            is_bad: waiting.failed_messages > 0,
        },
    ]
}

/// The books in a line.
fn balance(books: &BooksSummary, now: Timestamp) -> Markup {
    html! {
        p {
            a href="/console/books" {
                @match books.verdict {
                    BooksVerdict::Balanced => span.status.good { "BALANCED" },
                    BooksVerdict::Disagree => span.status.bad { (count(books.disagreements)) " DISAGREE" },
                    BooksVerdict::Unknown => span.status.busy { "NOT KNOWN YET" },
                }
            }
            @if let Some(until) = books.compared_until { ", compared " (ago(until, now)) }
            ", " (count(books.in_flight)) " in flight"
        }
    }
}

fn rate(count: Option<u64>) -> Markup {
    html! { @match count { Some(count) => (short(per_second(count))), None => "–" } }
}

fn milliseconds(value: Option<u64>) -> Markup {
    html! {
        @match value {
            Some(value) => (span_of(i64::try_from(value).unwrap_or(i64::MAX))),
            None => "–",
        }
    }
}

fn per_second(count: u64) -> f64 {
    real(count) / f64::from(SAMPLE_SECONDS)
}

#[expect(clippy::cast_precision_loss, reason = "for a chart")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contracts::overview::{MAX_SAMPLES, QueueLength};

    use super::*;

    #[test]
    fn an_hour_under_load_is_less_than_a_page_may_have() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let places = u64::try_from(MAX_SAMPLES).unwrap();
        let at = |place: u64| {
            "2026-01-02T02:04:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(10 * place)
        };
        let value = |place: u64| 10_000 + place * 7919 % 90_000;
        let waiting = || Waiting {
            replicas: 12,
            outbox: 123_456,
            outbox_oldest_seconds: Some(3600),
            queues: vec![QueueLength {
                queue: "order.payment-timeline.queue".to_owned(),
                messages: 99,
                consumers: 3,
            }],
            failed_messages: 123_456,
        };
        let orders = |place| OrderSample {
            at: at(place),
            placed: value(place),
            paid: value(place + 1),
            cancelled: value(place + 2),
            failed: value(place + 3),
            settle_p50_ms: Some(value(place + 4)),
            settle_p99_ms: Some(value(place + 5)),
            pending: Some(value(place + 6)),
            outbox: Some(value(place + 7)),
            queued: Some(value(place + 8)),
            failed_messages: Some(value(place + 9)),
        };
        let payments = |place| PaymentSample {
            at: at(place),
            answered: value(place),
            unanswered: value(place + 1),
            provider_p50_ms: Some(value(place + 2)),
            provider_p99_ms: Some(value(place + 3)),
            unknown: Some(value(place + 4)),
            outbox: Some(value(place + 5)),
            queued: Some(value(place + 6)),
            failed_messages: Some(value(place + 7)),
        };
        let overview = Overview {
            at: now,
            order: Some(OrderOverview {
                waiting: waiting(),
                pending: 123_456,
                oldest_pending: Some(at(0)),
                overdue: 7,
                samples: (0..places).map(orders).collect(),
            }),
            payment: Some(PaymentOverview {
                waiting: waiting(),
                breakers_open: Some(3),
                unknown: 123_456,
                due: 10_000,
                refused_refunds: 12,
                samples: (0..places).map(payments).collect(),
            }),
            books: None,
        };
        let page = write(&overview).into_string();
        assert!(page.len() < 40 * 1024, "{} bytes", page.len());
        assert_eq!(page.matches("<polyline").count(), 14, "a line for each that has one");
    }
}
