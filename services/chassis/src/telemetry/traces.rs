//! Where spans go.

use std::time::Duration;

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

/// The crates whose spans and events belong into a trace. Everything else (the HTTP client, the exporter itself) would
/// be noise or, for the exporter, an endless echo.
const OURS: [&str; 4] = ["chassis", "gateway", "order", "payment"];

/// How long a batch of spans may take to be sent (the default of `OTEL_EXPORTER_OTLP_TIMEOUT`).
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn provider(
    resource: Resource,
    endpoint: Option<&str>,
) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = endpoint else {
        // Spans would go nowhere, so record none; a caller's decision to record is passed on to the next service.
        return Ok(builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff))).build());
    };
    let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_http();
    if endpoint.starts_with("http://") {
        // Plain HTTP needs no certificate authorities, and must not fail where there are none.
        let client =
            reqwest::blocking::Client::builder().timeout(EXPORT_TIMEOUT).no_proxy().tls_certs_only([]);
        exporter = exporter.with_http_client(client.build()?);
    }
    let exporter = exporter.build()?;
    Ok(builder.with_span_processor(BatchSpanProcessor::builder(exporter).build()).build())
}

pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // Independent of RUST_LOG on purpose: a span that the log filter drops would break the trace at this service.
    let ours = |metadata: &Metadata<'_>| {
        *metadata.level() <= LevelFilter::INFO
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
