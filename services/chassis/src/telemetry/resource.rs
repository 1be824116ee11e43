//! Who sends the telemetry.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use rustix::system::uname;
use uuid::Uuid;

/// The service's identity; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override it.
pub(super) fn of_service(service: &'static str) -> Resource {
    let ours = [
        KeyValue::new("service.name", service),
        KeyValue::new("service.namespace", "paysaga"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        // Services on the same host share a clock; a tracing system that is not told may take those for different ones.
        KeyValue::new("host.name", uname().nodename().to_string_lossy().into_owned()),
    ];
    let from_environment = Resource::builder().build();
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
    let overrides = from_environment
        .iter()
        // The detectors make up a service name where the environment gives none.
        .filter(|(key, _)| key.as_str() != "service.name" || named)
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(ours).with_attributes(overrides).build()
}
