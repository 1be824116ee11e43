//! Where spans go.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithHttpConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use super::dropped_spans::{CountingExporter, CountingProcessor, Tally};
use super::otlp::plain_client;

/// The crates whose spans and events belong into a trace. Everything else (the HTTP client, the exporter itself) would
/// be noise or, for the exporter, an endless echo.
const OURS: [&str; 4] = ["chassis", "gateway", "order", "payment"];

/// Whether any span is recorded.
static RECORDS: AtomicBool = AtomicBool::new(false);

/// Whether any span is recorded. Where none is, nothing is built for one.
pub(super) fn are_recorded() -> bool {
    RECORDS.load(Ordering::Relaxed)
}

pub(super) fn provider(
    resource: Resource,
    endpoint: Option<&str>,
) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let tally = Tally::start();
    let Some(endpoint) = endpoint else {
        // Spans would go nowhere, so record none; a caller's decision to record is passed on to the next service.
        return Ok(builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff))).build());
    };
    RECORDS.store(true, Ordering::Relaxed);
    let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_http();
    if let Some(client) = plain_client(endpoint)? {
        exporter = exporter.with_http_client(client);
    }
    let exporter = CountingExporter::new(exporter.build()?, tally.clone());
    let batches = BatchSpanProcessor::builder(exporter).build();
    Ok(builder.with_span_processor(CountingProcessor::new(batches, tally)).build())
}

pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // Independent of RUST_LOG on purpose: a span that the log filter drops would break the trace at this service. Lines of the
    // log tell which span they belong to; warnings and errors can be read in the trace itself.
    let ours = |metadata: &Metadata<'_>| {
        let most = if metadata.is_span() { LevelFilter::INFO } else { LevelFilter::WARN };
        *metadata.level() <= most
            && metadata.target().split("::").next().is_some_and(|krate| OURS.contains(&krate))
    };
    let layer: OpenTelemetryLayer<S, SdkTracer> = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("paysaga"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    layer.with_filter(FilterFn::new(ours))
}
