//! SQL statements as spans, where `TRACE_STATEMENTS` asks for them (OpenTelemetry's conventions for database clients).
//!
//! sqlx reports each statement as an event, with the time that it took. Without the switch it reports only slow ones.

use std::fmt::Debug;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::retroactive::{before_now, is_recorded, record};

/// Where sqlx reports statements.
const TARGET: &str = "sqlx::query";

pub(super) fn layer<S>() -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    StatementSpans.with_filter(filter_fn(|metadata: &Metadata<'_>| metadata.target() == TARGET))
}

struct StatementSpans;

impl<S: Subscriber> Layer<S> for StatementSpans {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let span = Span::current();
        if !is_recorded(&span) {
            return;
        }
        let mut statement = Statement::default();
        event.record(&mut statement);
        let Statement { summary, text, elapsed } = statement;
        record(&span.context(), before_now(elapsed), || {
            // A statement of a few words is its own summary.
            let text = if text.is_empty() { summary.clone() } else { text };
            SpanBuilder::from_name(summary.clone()).with_kind(SpanKind::Client).with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.query.summary", summary),
                KeyValue::new("db.query.text", text),
            ])
        });
    }
}

/// What sqlx tells about a statement. Its parameters are not part of it.
#[derive(Default)]
struct Statement {
    /// Its first words.
    summary: String,
    text: String,
    elapsed: Duration,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.trim_end_matches(" …").clone_into(&mut self.summary),
            "db.statement" => value.trim().clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
