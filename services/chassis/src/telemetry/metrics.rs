//! Metrics, collected through OpenTelemetry, shown as Prometheus text, and sent by OTLP where that is asked for.

use std::sync::{LazyLock, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use opentelemetry_otlp::WithHttpConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream,
};
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder, Registry, TextEncoder};

use super::otlp::plain_client;
use super::{TelemetryError, nestjs_counters};
use crate::config::{Environment, Problems};

crate::variables! {
    /// What a service's metrics are.
    pub struct MetricVariables {
        /// `on`: `/metrics` has the counters of the NestJS services as well, under their names.
        nestjs_metrics = "off",
    }
}

/// What a service's metrics are.
pub(super) struct MetricConfig {
    nestjs_counters: bool,
}

impl MetricConfig {
    pub(super) fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: MetricVariables = environment.read(problems)?;
        Some(Self { nestjs_counters: variables.nestjs_metrics().switch(problems)? })
    }
}

/// The meter of every instrument. Modules declare their instruments beside their use, as `static`s made of it; names
/// and units follow OpenTelemetry's semantic conventions.
pub static METER: LazyLock<Meter> = LazyLock::new(|| opentelemetry::global::meter("paysaga"));

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Whether the counters of the NestJS services are shown as well.
static NESTJS_COUNTERS: OnceLock<bool> = OnceLock::new();

/// Upper bounds of a saga's duration, in seconds: from what a provider needs to the deadline, by default 15 minutes.
const SAGA_SECONDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

/// Upper bounds of every other duration histogram, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

pub(super) fn start(
    resource: Resource,
    config: &MetricConfig,
    endpoint: Option<&str>,
    commit: Option<&'static str>,
) -> Result<SdkMeterProvider, TelemetryError> {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .scope_info_enabled(false)
        .build()?;
    // Where the kernel tells nothing about processes, there is nothing to show about this one.
    REGISTRY.register(Box::new(ProcessCollector::for_self())).ok();
    NESTJS_COUNTERS.set(config.nestjs_counters).ok();
    let mut builder =
        SdkMeterProvider::builder().with_resource(resource).with_reader(exporter).with_view(buckets);
    if let Some(endpoint) = endpoint {
        let mut exporter = opentelemetry_otlp::MetricExporter::builder().with_http();
        if let Some(client) = plain_client(endpoint)? {
            exporter = exporter.with_http_client(client);
        }
        builder = builder.with_reader(PeriodicReader::builder(exporter.build()?).build());
    }
    let provider = builder.build();
    opentelemetry::global::set_meter_provider(provider.clone());
    let build = METER.u64_gauge("paysaga.build_info").with_description("Which program this is.").build();
    let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
    build.record(1, &[version, KeyValue::new("commit", commit.unwrap_or("unknown"))]);
    Ok(provider)
}

/// The buckets of the histograms of durations.
fn buckets(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram || instrument.unit() != "s" {
        return None;
    }
    let boundaries = match instrument.name() {
        "paysaga.saga.duration" => SAGA_SECONDS.to_vec(),
        _ => SECONDS.to_vec(),
    };
    let aggregation = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
    Stream::builder().with_aggregation(aggregation).build().ok()
}

/// All metrics of the process in Prometheus' text format.
pub fn prometheus_text() -> prometheus::Result<String> {
    let mut text = Vec::new();
    let mut families = REGISTRY.gather();
    if NESTJS_COUNTERS.get() == Some(&true) {
        families.extend(nestjs_counters::families(&families));
    }
    TextEncoder::new().encode(&families, &mut text)?;
    String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
}
