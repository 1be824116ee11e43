//! The environment variables that a service is started with.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use contracts::topology::Service;

use super::Ports;

/// What the services connect to.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) rabbitmq_url: String,
    pub(crate) order_database_url: String,
    pub(crate) payment_database_url: String,
    /// The gateway's file of API keys.
    pub(crate) api_keys_file: PathBuf,
    /// Where traces go, if anywhere.
    pub(crate) otlp_url: Option<String>,
}

/// The variables that configure a service.
pub(crate) fn configuration(
    service: Service,
    ports: Ports,
    management_ports: Ports,
    connections: &Connections,
) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("PORT", ports.of(service).to_string()),
        ("LISTEN_ADDRESS", "127.0.0.1".to_owned()),
        ("MANAGEMENT_ADDRESS", format!("127.0.0.1:{}", management_ports.of(service))),
        ("LOG_FORMAT", "json".to_owned()),
        ("RABBITMQ_URL", connections.rabbitmq_url.clone()),
    ];
    match service {
        Service::Gateway => variables.extend([
            ("ORDER_SERVICE_URL", format!("http://127.0.0.1:{}", ports.order)),
            ("PAYMENT_SERVICE_URL", format!("http://127.0.0.1:{}", ports.payment)),
            ("API_KEYS_FILE", connections.api_keys_file.display().to_string()),
        ]),
        Service::Order => variables.push(("DATABASE_URL", connections.order_database_url.clone())),
        Service::Payment => variables.push(("DATABASE_URL", connections.payment_database_url.clone())),
    }
    if let Some(otlp) = &connections.otlp_url {
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.clone()));
    }
    variables
}

/// The variables of our own environment that services get too; everything else stays out, so that what runs does
/// not depend on the terminal it was started from.
pub(crate) fn passed_through() -> Vec<(OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_passed_through(name)).collect()
}

fn is_passed_through(name: &OsStr) -> bool {
    const NAMES: [&str; 6] = ["HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_LOG", "SAGA_TIMEOUT"];
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name) || name.starts_with("PROVIDER_") || name.starts_with("RETENTION_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(service: Service, otlp_url: Option<&str>) -> Vec<(&'static str, String)> {
        let ports = Ports { gateway: 3000, order: 3001, payment: 3002 };
        let connections = Connections {
            rabbitmq_url: "amqp://broker".to_owned(),
            order_database_url: "postgres://orders".to_owned(),
            payment_database_url: "postgres://payments".to_owned(),
            api_keys_file: PathBuf::from("/data/api-keys"),
            otlp_url: otlp_url.map(str::to_owned),
        };
        let management_ports = Ports { gateway: 4000, order: 4001, payment: 4002 };
        configuration(service, ports, management_ports, &connections)
    }

    fn value(variables: &[(&str, String)], name: &str) -> Option<String> {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn no_service_learns_the_database_of_another() {
        assert_eq!(value(&variables(Service::Order, None), "DATABASE_URL").unwrap(), "postgres://orders");
        assert_eq!(value(&variables(Service::Payment, None), "DATABASE_URL").unwrap(), "postgres://payments");
        assert_eq!(value(&variables(Service::Gateway, None), "DATABASE_URL"), None);
    }

    #[test]
    fn only_the_gateway_learns_where_the_others_are_and_the_keys() {
        let gateway = variables(Service::Gateway, None);
        assert_eq!(value(&gateway, "ORDER_SERVICE_URL").unwrap(), "http://127.0.0.1:3001");
        assert_eq!(value(&gateway, "PAYMENT_SERVICE_URL").unwrap(), "http://127.0.0.1:3002");
        assert_eq!(value(&gateway, "API_KEYS_FILE").unwrap(), "/data/api-keys");
        for name in ["PAYMENT_SERVICE_URL", "API_KEYS_FILE"] {
            assert_eq!(value(&variables(Service::Order, None), name), None);
        }
    }

    #[test]
    fn traces_go_nowhere_unless_there_is_a_jaeger() {
        assert_eq!(value(&variables(Service::Order, None), "OTEL_EXPORTER_OTLP_ENDPOINT"), None);
        let traced = variables(Service::Order, Some("http://127.0.0.1:4318"));
        assert_eq!(value(&traced, "OTEL_EXPORTER_OTLP_ENDPOINT").unwrap(), "http://127.0.0.1:4318");
    }

    #[test]
    fn settings_of_the_provider_are_passed_through_and_nothing_that_could_hold_a_secret_is() {
        for name in ["PROVIDER_LATENCY_MS", "RETENTION_TIMELINE", "RUST_LOG", "SAGA_TIMEOUT", "TZ"] {
            assert!(is_passed_through(OsStr::new(name)), "{name}");
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "PORT", "MY_PROVIDER_KEY"] {
            assert!(!is_passed_through(OsStr::new(name)), "{name}");
        }
    }
}
