//! Logs that are sent by OTLP, besides being written.

use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::WithHttpConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::otlp::plain_client;
use super::{LogConfig, TelemetryError};

/// The fields of spans that lines have too, as docs/LOGGING.md lists them.
const OF_SPANS: [&str; 8] = [
    "order.id",
    "payment.id",
    "payment.attempt",
    "correlation.id",
    "messaging.message.id",
    "http.request.method",
    "http.route",
    "url.path",
];

pub(super) fn provider(resource: Resource, endpoint: &str) -> Result<SdkLoggerProvider, TelemetryError> {
    let mut exporter = opentelemetry_otlp::LogExporter::builder().with_http();
    if let Some(client) = plain_client(endpoint)? {
        exporter = exporter.with_http_client(client);
    }
    Ok(SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter.build()?).build())
}

/// Sends the lines that are logged, each with its trace and its span.
pub(super) fn layer<S>(provider: &SdkLoggerProvider, config: &LogConfig) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // What the exporter itself has to say would be sent, and cause the next.
    let not_of_exporter = |metadata: &Metadata<'_>| {
        let krate = metadata.target().split("::").next().unwrap_or_default();
        !krate.starts_with("opentelemetry") && !["hyper", "hyper_util", "reqwest"].contains(&krate)
    };
    let bridge = OpenTelemetryTracingBridge::builder(provider);
    let bridge = bridge.with_tracing_span_attributes(TracingSpanAttributes::allowlist(OF_SPANS)).build();
    bridge.with_filter(config.filter().and(filter_fn(not_of_exporter)))
}
