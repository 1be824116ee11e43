//! The counters of the services that paysaga replaced, under their names, made of the metrics that there are: their dashboards
//! go on working.

use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};

/// A counter of the replaced services.
struct NestjsCounter {
    name: &'static str,
    help: &'static str,
    /// What it is made of.
    source: &'static str,
    /// The label and the value that a series of it must have to be counted.
    only: Option<(&'static str, &'static str)>,
    /// The labels that it has, by their names in the source.
    labels: &'static [(&'static str, &'static str)],
}

const SETTLED: &str = "paysaga_orders_settled_total";
const PAYMENTS: &str = "paysaga_payments_settled_total";

const COUNTERS: [NestjsCounter; 10] = [
    NestjsCounter {
        name: "http_requests_total",
        help: "HTTP requests that were answered.",
        source: "http_server_request_duration_seconds",
        only: None,
        labels: &[
            ("http_request_method", "method"),
            ("http_route", "route"),
            ("http_response_status_code", "status_code"),
        ],
    },
    unlabelled("orders_created_total", "Orders that were placed.", "paysaga_orders_placed_total", None),
    unlabelled("orders_completed_total", "Orders that became PAID.", SETTLED, Some(("status", "PAID"))),
    NestjsCounter {
        name: "orders_cancelled_total",
        help: "Orders that became CANCELLED.",
        source: SETTLED,
        only: Some(("status", "CANCELLED")),
        labels: &[("reason", "reason")],
    },
    unlabelled("orders_failed_total", "Orders that became FAILED.", SETTLED, Some(("status", "FAILED"))),
    unlabelled("payments_approved_total", "Payments that were made.", PAYMENTS, Some(("status", "APPROVED"))),
    unlabelled(
        "payments_declined_total",
        "Payments that were declined.",
        PAYMENTS,
        Some(("status", "DECLINED")),
    ),
    unlabelled("payments_failed_total", "Payments that failed.", PAYMENTS, Some(("status", "FAILED"))),
    unlabelled(
        "payments_cancelled_total",
        "Payments that were cancelled.",
        PAYMENTS,
        Some(("status", "CANCELLED")),
    ),
    unlabelled(
        "payments_refunded_total",
        "Payments that were refunded.",
        PAYMENTS,
        Some(("status", "REFUNDED")),
    ),
];

const fn unlabelled(
    name: &'static str,
    help: &'static str,
    source: &'static str,
    only: Option<(&'static str, &'static str)>,
) -> NestjsCounter {
    NestjsCounter { name, help, source, only, labels: &[] }
}

/// The counters that can be made of these metrics.
pub(super) fn families(all: &[MetricFamily]) -> Vec<MetricFamily> {
    let made = COUNTERS.iter().filter_map(|counter| {
        let source = all.iter().find(|family| family.name() == counter.source)?;
        Some(counter.made_of(source))
    });
    // Prometheus' encoder refuses one that is empty.
    made.filter(|family| !family.get_metric().is_empty()).collect()
}

impl NestjsCounter {
    fn made_of(&self, source: &MetricFamily) -> MetricFamily {
        let series =
            source.get_metric().iter().filter(|series| self.only.is_none_or(|only| has(series, only)));
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(series.map(|series| self.series(series)).collect());
        family
    }

    fn series(&self, source: &Metric) -> Metric {
        let label = |(from, to): &(&str, &str)| {
            let mut label = LabelPair::default();
            label.set_name((*to).to_owned());
            label.set_value(value(source, from).unwrap_or_default().to_owned());
            label
        };
        let mut counter = Counter::default();
        counter.set_value(count(source));
        let mut series = Metric::default();
        series.set_label(self.labels.iter().map(label).collect());
        series.set_counter(counter);
        series
    }
}

/// What was counted, by a counter or by a histogram.
#[expect(clippy::cast_precision_loss, reason = "Prometheus' own numbers are floats")]
fn count(series: &Metric) -> f64 {
    match series.get_histogram().get_sample_count() {
        0 => series.get_counter().get_value(),
        count => count as f64,
    }
}

fn has(series: &Metric, (name, expected): (&str, &str)) -> bool {
    value(series, name) == Some(expected)
}

fn value<'a>(series: &'a Metric, name: &str) -> Option<&'a str> {
    series.get_label().iter().find(|label| label.name() == name).map(LabelPair::value)
}
