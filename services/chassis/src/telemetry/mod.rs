//! Logs, traces and metrics of a service.
//!
//! Traces leave through OTLP (HTTP, protobuf) when `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set; the exporter, the sampler and the batching read the standard `OTEL_*`
//! variables themselves. Without an endpoint nothing is recorded, but trace ids are still made, passed on and logged.

mod failure;
mod logs;
mod metrics;
mod resource;
mod trace_context;
mod traces;

use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use failure::{mark_failed, mark_server_error};
pub use logs::TRACE_ONLY;
pub use logs::{LogConfig, LogVariables};
pub use metrics::{METER, prometheus_text};
pub use trace_context::TraceContext;

use crate::config::{Environment, Problems};

/// What a service's telemetry needs to know.
pub struct TelemetryConfig {
    logs: LogConfig,
    /// Where traces go; the exporter reads the same variables and adds the path.
    traces_endpoint: Option<String>,
}

impl TelemetryConfig {
    /// Reads `LOG_FORMAT` and `RUST_LOG`, and whether there is an endpoint for traces.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let endpoint = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        Some(Self {
            logs: LogConfig::from_environment(environment, problems)?,
            traces_endpoint: endpoint.iter().find_map(|name| environment.get(name)).map(str::to_owned),
        })
    }
}

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP exporter refused its `OTEL_*` settings.
    #[error("traces can't be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporter's HTTP client can't be made; with HTTPS, most often because there are no certificate authorities.
    #[error("traces can't be exported: {0:?}")]
    Client(#[from] reqwest::Error),
    /// The Prometheus registry refused the exporter.
    #[error("metrics can't be exposed: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// Something else in the process receives the logs already.
    #[error("logs can't be installed: {0}")]
    Logs(#[from] TryInitError),
}

/// The running telemetry of a process. [`Telemetry::shutdown`] sends what is still buffered.
pub struct Telemetry {
    tracer_provider: SdkTracerProvider,
}

impl Telemetry {
    /// Installs logs, traces and metrics for the whole process.
    ///
    /// Call it outside of any async runtime: the exporter brings a blocking HTTP client with a runtime of its own.
    pub fn start(service: &'static str, config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let resource = resource::of_service(service);
        metrics::start(resource.clone())?;
        let tracer_provider = traces::provider(resource, config.traces_endpoint.as_deref())?;
        tracing_subscriber::registry()
            .with(traces::layer(&tracer_provider))
            .with(logs::layer(&config.logs))
            .try_init()?;
        Ok(Self { tracer_provider })
    }

    /// Sends the spans that are still buffered, for at most `timeout`. Call it outside of any async runtime.
    pub fn shutdown(self, timeout: Duration) -> OTelSdkResult {
        self.tracer_provider.shutdown_with_timeout(timeout)
    }
}
