//! The fields of spans, kept for the lines that are logged in them: which order, which request.

use std::fmt::Debug;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Keeps the fields of each span that it is given.
pub(super) struct LogFields;

/// The fields of a span, by name.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl<S> Layer<S> for LogFields
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id).filter(|_| !fields.0.is_empty()) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(fields) = extensions.get_mut::<Fields>() {
            values.record(fields);
        } else {
            let mut fields = Fields::default();
            values.record(&mut fields);
            extensions.insert(fields);
        }
    }
}

/// Gives `write` the fields of the span that an event is in, but for those that the event has itself.
pub(super) fn of_event<S>(event: &Event<'_>, context: &Context<'_, S>, mut write: impl FnMut(&str, &Value))
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let Some(span) = context.event_span(event) else { return };
    if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
        let own = event.metadata().fields();
        for (name, value) in fields.iter().filter(|(name, _)| own.field(name).is_none()) {
            write(name, value);
        }
    }
}

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        // What OpenTelemetry's layer makes a span's name and kind of.
        if field.name().starts_with("otel.") {
            return;
        }
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, before)) => *before = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }
}
