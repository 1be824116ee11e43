//! Logs, traces and metrics of a service.
//!
//! Traces leave through OTLP (HTTP, protobuf) when `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, metrics and logs where `OTEL_METRICS_EXPORTER=otlp`, `OTEL_LOGS_EXPORTER=otlp` or an
//! endpoint of their own asks for it; the exporters, the sampler and the batching read the standard `OTEL_*` variables themselves.
//! Without an endpoint nothing is recorded, but trace ids are still made, passed on and logged.

mod dropped_spans;
mod failure;
mod log_fields;
mod logs;
mod metrics;
mod nestjs_counters;
mod otlp;
mod otlp_logs;
mod resource;
mod retroactive;
mod statements;
mod trace_context;
mod traces;

use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use failure::{mark_failed, mark_server_error};
pub use logs::{LogConfig, LogVariables, TRACE_ONLY};
pub use metrics::{METER, MetricVariables, prometheus_text};
pub use retroactive::is_recorded;
pub(crate) use retroactive::{record_share, record_transit, record_wait};
pub use trace_context::TraceContext;

use crate::config::{Environment, Problems};
use metrics::MetricConfig;
use otlp::Endpoints;

/// What a service's telemetry needs to know.
pub struct TelemetryConfig {
    logs: LogConfig,
    metrics: MetricConfig,
    endpoints: Endpoints,
}

impl TelemetryConfig {
    /// Reads [`LogVariables`] and [`MetricVariables`], and where OpenTelemetry's variables have telemetry sent.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let logs = LogConfig::from_environment(environment, problems);
        let metrics = MetricConfig::from_environment(environment, problems);
        Some(Self { logs: logs?, metrics: metrics?, endpoints: Endpoints::of(environment) })
    }
}

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP exporter refused its `OTEL_*` settings.
    #[error("telemetry can't be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporter's HTTP client can't be made; with HTTPS, most often because there are no certificate authorities.
    #[error("telemetry can't be exported: {0:?}")]
    Client(#[from] reqwest::Error),
    /// The Prometheus registry refused the exporter.
    #[error("metrics can't be exposed: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// Something else in the process receives the logs already.
    #[error("logs can't be installed: {0}")]
    Logs(#[from] TryInitError),
}

/// The running telemetry of a process. [`Telemetry::shutdown`] sends and writes what is still buffered.
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    otlp_logs: Option<SdkLoggerProvider>,
    /// Writes the last lines when it is dropped.
    _lines: WorkerGuard,
}

impl Telemetry {
    /// Installs logs, traces and metrics for the whole process. `commit` is what the program was built from, if that is known.
    ///
    /// Call it outside of any async runtime: the exporters bring blocking HTTP clients with runtimes of their own.
    pub fn start(
        service: &'static str,
        commit: Option<&'static str>,
        config: &TelemetryConfig,
    ) -> Result<Self, TelemetryError> {
        let TelemetryConfig { logs, metrics, endpoints } = config;
        let resource = resource::of_service(service);
        let metrics = metrics::start(resource.clone(), metrics, endpoints.metrics.as_deref(), commit)?;
        let traces = traces::provider(resource.clone(), endpoints.traces.as_deref())?;
        opentelemetry::global::set_tracer_provider(traces.clone());
        let otlp_logs = endpoints.logs.as_deref().map(|endpoint| otlp_logs::provider(resource, endpoint));
        let otlp_logs = otlp_logs.transpose()?;
        let (output, lines) = logs::standard_output();
        logs::count_lost(output.error_counter());
        tracing_subscriber::registry()
            .with(traces::layer(&traces))
            .with(statements::layer())
            .with(logs::layer(service, logs, output))
            .with(otlp_logs.as_ref().map(|provider| otlp_logs::layer(provider, logs)))
            .try_init()?;
        Ok(Self { traces, metrics, otlp_logs, _lines: lines })
    }

    /// Sends what is still buffered, for at most `timeout` in all. Call it outside of any async runtime.
    pub fn shutdown(self, timeout: Duration) -> OTelSdkResult {
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let traces = self.traces.shutdown_with_timeout(left());
        let metrics = self.metrics.shutdown_with_timeout(left());
        let logs = self.otlp_logs.map(|logs| logs.shutdown_with_timeout(left()));
        traces.and(metrics).and(logs.unwrap_or(Ok(())))
    }
}
