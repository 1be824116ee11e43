//! Logs for people (on a terminal) and for machines (one flat JSON object a line), on standard output.
//!
//! Lines are written by a thread of their own. Should standard output take them too slowly for too long, lines are lost, and
//! counted, rather than orders delayed. docs/LOGGING.md has every member of a line.

use std::io::{self, IsTerminal};

use json_subscriber::FieldWriter;
use opentelemetry::metrics::ObservableCounter;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Metadata, Span, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::METER;
use super::log_fields::{self, LogFields};
use crate::config::{Environment, Problems};

crate::variables! {
    /// How a service logs.
    pub struct LogVariables {
        /// `json` (one object a line), `human`, or `auto`: human on a terminal, json elsewhere.
        log_format = "auto",
        /// What is logged, as `level` or `target=level,…` (tracing's `EnvFilter`).
        rust_log = "info,sqlx=warn,lapin=off",
    }
}

/// The target of spans whose fields no line of the log needs: they are not written down for logs.
pub const TRACE_ONLY: &str = "chassis::trace_only";

/// Most lines that wait to be written: some megabytes.
const WAITING_LINES: usize = 16_384;

/// How a service logs.
pub struct LogConfig {
    format: Format,
    filter: String,
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Human,
}

impl LogConfig {
    pub(super) fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: LogVariables = environment.read(problems)?;
        let format = variables.log_format().parse_with(problems, |text| match text {
            "human" => Ok(Format::Human),
            "auto" if io::stdout().is_terminal() => Ok(Format::Human),
            "json" | "auto" => Ok(Format::Json),
            _ => Err("must be json, human or auto".to_owned()),
        });
        let filter = variables.rust_log().parse_with(problems, |text| {
            EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
        });
        Some(Self { format: format?, filter: filter? })
    }

    /// What is logged.
    pub(super) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.filter)
    }
}

/// Where lines go, and what waits until they are written: lines that are logged after it is dropped are lost.
pub(super) fn standard_output() -> (NonBlocking, WorkerGuard) {
    let writer = NonBlockingBuilder::default().thread_name("logs").buffered_lines_limit(WAITING_LINES);
    writer.finish(io::stdout())
}

/// The layer that logs under the name of a service.
pub(super) fn layer<S>(
    service: &'static str,
    config: &LogConfig,
    output: NonBlocking,
) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer: Box<dyn Layer<S> + Send + Sync> = match config.format {
        Format::Json => Box::new(LogFields.and_then(EventsOnly(json(service, output)))),
        Format::Human => {
            let human = tracing_subscriber::fmt::layer();
            Box::new(human.with_ansi(io::stdout().is_terminal()).with_writer(output))
        }
    };
    let logged = filter_fn(|metadata| metadata.target() != TRACE_ONLY);
    layer.with_filter(config.filter().and(logged))
}

/// One flat object a line: the event's own members, those of the span that it is in, and which span that is.
fn json<S>(service: &'static str, output: NonBlocking) -> json_subscriber::JsonLayer<S, NonBlocking>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let mut json = json_subscriber::JsonLayer::new(output);
    json.with_timer("timestamp", tracing_subscriber::fmt::time::SystemTime);
    json.with_level("level");
    json.with_target("target");
    json.add_static_field("service.name", service.into());
    json.with_flattened_event();
    json.add_multiple_dynamic_fields(|event, context, writer| {
        let mut write = |name: &str, value: &serde_json::Value| _ = writer.write_field(name, value);
        log_fields::of_event(event, context, &mut write);
        write_ids(writer);
    });
    json
}

/// Writes which trace and which span of it the line belongs to, if it belongs to any.
fn write_ids(writer: &mut FieldWriter<'_>) {
    let context = Span::current().context();
    let context = context.span().span_context().clone();
    if context.is_valid() {
        // Strings can always be written.
        _ = writer.write_field("trace_id", context.trace_id().to_string());
        _ = writer.write_field("span_id", context.span_id().to_string());
    }
}

/// A layer that hears of events and of no span: json-subscriber would write each span's fields as JSON, logged or not.
struct EventsOnly<L>(L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for EventsOnly<L> {
    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.0.on_event(event, context);
    }
}

/// Counts the lines that were lost, from now on.
pub(super) fn count_lost(lost: ErrorCounter) {
    let _: ObservableCounter<u64> = METER
        .u64_observable_counter("paysaga.log_lines.dropped")
        .with_description("Lines of the log that were dropped because standard output took them too slowly.")
        .with_callback(move |observer| {
            observer.observe(u64::try_from(lost.dropped_lines()).unwrap_or(u64::MAX), &[]);
        })
        .build();
}
