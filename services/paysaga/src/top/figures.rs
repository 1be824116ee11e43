//! What the overview says, as rows of text.

use contracts::Timestamp;
use contracts::books::BooksVerdict;
use contracts::overview::{
    OrderOverview, OrderSample, Overview, PaymentOverview, PaymentSample, SAMPLE_SECONDS, Waiting,
};

use super::history::History;
use crate::output::printable;

/// What stands where something is not known.
const UNKNOWN: &str = "not known";

/// A service.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    /// None if it does not answer.
    pub(super) rows: Vec<Row>,
}

/// A line about one thing.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// Something that an operator is to look at.
    pub(super) is_alert: bool,
    pub(super) history: Option<History>,
}

impl Row {
    fn new(label: &'static str, value: String) -> Self {
        Self { label, value, is_alert: false, history: None }
    }

    fn alert_if(self, is_alert: bool) -> Self {
        Self { is_alert, ..self }
    }

    fn with<'a, S: 'a>(
        self,
        samples: &'a [S],
        began: fn(&S) -> Timestamp,
        measure: impl Fn(&S) -> Option<u64>,
    ) -> Self {
        let history = History::of(samples.iter().map(|sample| (began(sample), measure(sample))));
        Self { history: Some(history), ..self }
    }
}

/// Both services, and the books.
pub(super) fn sections(overview: &Overview) -> [Section; 3] {
    let order = overview.order.as_ref().map(|order| (&order.waiting, of_orders(order, overview.at)));
    let payment =
        overview.payment.as_ref().map(|payment| (&payment.waiting, of_payments(payment, overview.at)));
    [section("Orders", "order", order), section("Payments", "payment", payment), of_books(overview)]
}

fn of_books(overview: &Overview) -> Section {
    let Some(books) = &overview.books else {
        return Section { title: "Books: the order service does not answer".to_owned(), rows: Vec::new() };
    };
    let verdict = match books.verdict {
        BooksVerdict::Balanced => "they balance".to_owned(),
        BooksVerdict::Disagree => format!("{} do not agree", count(books.disagreements, "order")),
        BooksVerdict::Unknown => UNKNOWN.to_owned(),
    };
    let until = books.compared_until.map(|until| format!(", compared until {}", clock(until)));
    let value = format!("{verdict}{}, {} in flight", until.unwrap_or_default(), books.in_flight);
    let row = Row::new("verdict", value).alert_if(books.verdict == BooksVerdict::Disagree);
    Section { title: "Books".to_owned(), rows: vec![row] }
}

fn section(name: &str, service: &str, part: Option<(&Waiting, Vec<Row>)>) -> Section {
    match part {
        Some((waiting, rows)) => {
            let replicas = count(u64::from(waiting.replicas), "replica");
            Section { title: format!("{name} ({replicas})"), rows }
        }
        None => Section { title: format!("{name}: the {service} service does not answer"), rows: Vec::new() },
    }
}

fn of_orders(order: &OrderOverview, at: Timestamp) -> Vec<Row> {
    let last = order.last_whole(at);
    let row = |label, value, measure: fn(&OrderSample) -> Option<u64>| {
        Row::new(label, value).with(&order.samples, |sample| sample.at, measure)
    };
    let oldest = order.oldest_pending.map(|oldest| format!(", the oldest since {}", clock(oldest)));
    let overdue = if order.overdue > 0 { format!(", {} overdue", order.overdue) } else { String::new() };
    let hour = |count: fn(&OrderSample) -> u64| order.samples.iter().map(count).sum::<u64>();
    let outcomes = format!(
        "{} paid, {} cancelled, {} failed in the hour",
        hour(|sample| sample.paid),
        hour(|sample| sample.cancelled),
        hour(|sample| sample.failed)
    );
    let mut rows = vec![
        row("accepted", rate(last.map(|last| last.placed)), |sample| Some(sample.placed)),
        row("settled", rate(last.map(OrderSample::settled)), |sample| Some(sample.settled())),
        row("settled within", times(last.map(|last| (last.settle_p50_ms, last.settle_p99_ms))), |sample| {
            sample.settle_p99_ms
        }),
        row("in flight", format!("{}{overdue}{}", order.pending, oldest.unwrap_or_default()), |sample| {
            sample.pending
        })
        .alert_if(order.overdue > 0),
        Row::new("outcomes", outcomes),
    ];
    rows.extend(
        of_waiting(&order.waiting)
            .into_iter()
            .zip(MEASURES_OF_ORDERS)
            .map(|(waits, measure)| waits.with(&order.samples, |sample| sample.at, measure)),
    );
    rows
}

fn of_payments(payment: &PaymentOverview, at: Timestamp) -> Vec<Row> {
    let last = payment.last_whole(at);
    let row = |label, value, measure: fn(&PaymentSample) -> Option<u64>| {
        Row::new(label, value).with(&payment.samples, |sample| sample.at, measure)
    };
    let unanswered = last.map_or(0, |last| last.unanswered);
    let without =
        if unanswered > 0 { format!(", {} without", rate(Some(unanswered))) } else { String::new() };
    let breakers = payment.breakers_open.map_or_else(
        || UNKNOWN.to_owned(),
        |open| format!("{open} open of {}", count(payment.waiting.replicas.into(), "replica")),
    );
    let mut rows = vec![
        row("answers", format!("{}{without}", rate(last.map(|last| last.answered))), |sample| {
            Some(sample.answered)
        })
        .alert_if(unanswered > 0),
        row(
            "answered within",
            times(last.map(|last| (last.provider_p50_ms, last.provider_p99_ms))),
            |sample| sample.provider_p99_ms,
        ),
        Row::new("breakers", breakers).alert_if(payment.breakers_open.is_some_and(|open| open > 0)),
        row("unknown", payment.unknown.to_string(), |sample| sample.unknown).alert_if(payment.unknown > 0),
        Row::new("steps due", payment.due.to_string()),
        Row::new("refused refunds", payment.refused_refunds.to_string())
            .alert_if(payment.refused_refunds > 0),
    ];
    rows.extend(
        of_waiting(&payment.waiting)
            .into_iter()
            .zip(MEASURES_OF_PAYMENTS)
            .map(|(waits, measure)| waits.with(&payment.samples, |sample| sample.at, measure)),
    );
    rows
}

/// In the order of [`of_waiting`].
const MEASURES_OF_ORDERS: [fn(&OrderSample) -> Option<u64>; 3] =
    [|sample| sample.outbox, |sample| sample.queued, |sample| sample.failed_messages];

/// In the order of [`of_waiting`].
const MEASURES_OF_PAYMENTS: [fn(&PaymentSample) -> Option<u64>; 3] =
    [|sample| sample.outbox, |sample| sample.queued, |sample| sample.failed_messages];

/// The outbox, the queues and the failed messages.
fn of_waiting(waiting: &Waiting) -> [Row; 3] {
    let since = waiting.outbox_oldest_seconds.map(|seconds| format!(", the oldest for {seconds} s"));
    let outbox = format!("{}{}", waiting.outbox, since.unwrap_or_default());
    let without_consumer = waiting.queues.iter().find(|queue| queue.consumers == 0);
    let queues = match (&waiting.queues[..], without_consumer) {
        ([], _) => "not known: the broker does not answer".to_owned(),
        (_, Some(queue)) => format!("no consumer of {}", printable(&queue.queue)),
        (queues, None) => {
            let messages = queues.iter().map(|queue| queue.messages).sum();
            format!("{} in {}", count(messages, "message"), count(queues.len() as u64, "queue"))
        }
    };
    [
        Row::new("outbox", outbox),
        Row::new("queues", queues).alert_if(waiting.queues.is_empty() || without_consumer.is_some()),
        Row::new("failed messages", waiting.failed_messages.to_string())
            .alert_if(waiting.failed_messages > 0),
    ]
}

/// A count of ten seconds as one of a second.
fn rate(count: Option<u64>) -> String {
    let Some(count) = count else { return UNKNOWN.to_owned() };
    let tenths = count * 10 / u64::from(SAMPLE_SECONDS);
    format!("{}.{} /s", tenths / 10, tenths % 10)
}

fn times(percentiles: Option<(Option<u64>, Option<u64>)>) -> String {
    match percentiles {
        Some((Some(p50), Some(p99))) => format!("p50 {}, p99 {}", duration(p50), duration(p99)),
        Some(_) => "nothing to measure".to_owned(),
        None => UNKNOWN.to_owned(),
    }
}

fn duration(milliseconds: u64) -> String {
    if milliseconds < 10_000 { format!("{milliseconds} ms") } else { format!("{} s", milliseconds / 1000) }
}

fn count(number: u64, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// The time of day in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).map_or_else(String::new, ToOwned::to_owned)
}
