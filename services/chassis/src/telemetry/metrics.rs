//! Metrics, collected through OpenTelemetry and shown as Prometheus text.

use std::sync::LazyLock;

use opentelemetry::metrics::Meter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::{Encoder, Registry, TextEncoder};

/// The meter of every instrument. Modules declare their instruments beside their use, as `static`s made of it; names
/// and units follow OpenTelemetry's semantic conventions.
pub static METER: LazyLock<Meter> = LazyLock::new(|| opentelemetry::global::meter("paysaga"));

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Upper bounds of a saga's duration, in seconds: from what a provider needs to the deadline, by default 15 minutes.
const SAGA_SECONDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

/// Upper bounds of every other duration histogram, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

pub(super) fn start(resource: Resource) -> Result<(), OTelSdkError> {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .scope_info_enabled(false)
        .build()?;
    let provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(exporter)
        .with_view(|instrument: &Instrument| {
            let in_seconds = instrument.kind() == InstrumentKind::Histogram && instrument.unit() == "s";
            let boundaries = match instrument.name() {
                "paysaga.saga.duration" => SAGA_SECONDS.to_vec(),
                _ => SECONDS.to_vec(),
            };
            let aggregation = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
            in_seconds.then(|| Stream::builder().with_aggregation(aggregation).build().ok()).flatten()
        })
        .build();
    opentelemetry::global::set_meter_provider(provider);
    Ok(())
}

/// All metrics of the process in Prometheus' text format.
pub fn prometheus_text() -> prometheus::Result<String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&REGISTRY.gather(), &mut text)?;
    String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
}
