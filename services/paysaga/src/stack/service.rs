//! The three services: what each is called, where it listens, and what it is told through its environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::infrastructure::installation::Installation;
use crate::infrastructure::process::{Ending, StopSignal};

/// A service finishes what it took before it ends; this is the time it has.
pub(super) const ENDING: Ending = Ending {
    signal: StopSignal::Terminate,
    patience: Duration::from_secs(15),
    orphaned: StopSignal::Terminate,
};

/// One of the services, in the order in which they are listed everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The only one that customers talk to.
    Gateway,
    /// Owns the orders.
    Order,
    /// Owns the payments.
    Payment,
}

/// The TCP ports of the services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The gateway's.
    pub gateway: u16,
    /// The order service's.
    pub order: u16,
    /// The payment service's.
    pub payment: u16,
}

/// What the services connect to.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) rabbitmq_url: String,
    pub(super) order_database_url: String,
    pub(super) payment_database_url: String,
    /// Where traces go, if anywhere.
    pub(super) otlp_url: Option<String>,
}

/// The program of a service is nowhere.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service `{program}` is neither in {folder} nor on PATH; build it with: cargo build --workspace --bins"
)]
pub struct MissingService {
    program: &'static str,
    folder: PathBuf,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Order, Self::Payment];

    /// Its name, which is also its program's and its database's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Order => "order",
            Self::Payment => "payment",
        }
    }

    /// The option of `paysaga up` that sets its port.
    pub(super) fn port_option(self) -> &'static str {
        match self {
            Self::Gateway => "--gateway-port",
            Self::Order => "--order-port",
            Self::Payment => "--payment-port",
        }
    }

    /// Its program in `folder`, else on `PATH`.
    pub(super) fn program(
        self,
        folder: &Path,
        installation: &Installation,
    ) -> Result<PathBuf, MissingService> {
        let here = folder.join(self.name());
        if here.is_file() {
            return Ok(here);
        }
        let missing = || MissingService { program: self.name(), folder: folder.to_owned() };
        installation.on_path(self.name()).ok_or_else(missing)
    }

    /// The variables that configure it.
    pub(super) fn environment(self, ports: Ports, connections: &Connections) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PORT", ports.of(self).to_string()),
            ("LISTEN_ADDRESS", "127.0.0.1".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RABBITMQ_URL", connections.rabbitmq_url.clone()),
        ];
        match self {
            Self::Gateway => variables.extend([
                ("ORDER_SERVICE_URL", format!("http://127.0.0.1:{}", ports.order)),
                ("PAYMENT_SERVICE_URL", format!("http://127.0.0.1:{}", ports.payment)),
            ]),
            Self::Order => variables.push(("DATABASE_URL", connections.order_database_url.clone())),
            Self::Payment => variables.push(("DATABASE_URL", connections.payment_database_url.clone())),
        }
        if let Some(otlp) = &connections.otlp_url {
            variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.clone()));
        }
        variables
    }
}

impl Ports {
    /// The port of one service.
    #[must_use]
    pub fn of(self, service: Service) -> u16 {
        match service {
            Service::Gateway => self.gateway,
            Service::Order => self.order,
            Service::Payment => self.payment,
        }
    }
}

/// The variables of our own environment that services get too; everything else stays out, so that what runs does
/// not depend on the terminal it was started from.
pub(super) fn passed_through() -> Vec<(OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_passed_through(name)).collect()
}

fn is_passed_through(name: &OsStr) -> bool {
    const NAMES: [&str; 6] = ["HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_LOG", "SAGA_TIMEOUT"];
    name.to_str().is_some_and(|name| NAMES.contains(&name) || name.starts_with("PROVIDER_"))
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
            otlp_url: otlp_url.map(str::to_owned),
        };
        service.environment(ports, &connections)
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
    fn only_the_gateway_learns_where_the_others_are() {
        let gateway = variables(Service::Gateway, None);
        assert_eq!(value(&gateway, "ORDER_SERVICE_URL").unwrap(), "http://127.0.0.1:3001");
        assert_eq!(value(&gateway, "PAYMENT_SERVICE_URL").unwrap(), "http://127.0.0.1:3002");
        assert_eq!(value(&variables(Service::Order, None), "PAYMENT_SERVICE_URL"), None);
    }

    #[test]
    fn traces_go_nowhere_unless_there_is_a_jaeger() {
        assert_eq!(value(&variables(Service::Order, None), "OTEL_EXPORTER_OTLP_ENDPOINT"), None);
        let traced = variables(Service::Order, Some("http://127.0.0.1:4318"));
        assert_eq!(value(&traced, "OTEL_EXPORTER_OTLP_ENDPOINT").unwrap(), "http://127.0.0.1:4318");
    }

    #[test]
    fn settings_of_the_provider_are_passed_through_and_nothing_that_could_hold_a_secret_is() {
        for name in ["PROVIDER_LATENCY_MS", "RUST_LOG", "SAGA_TIMEOUT", "TZ"] {
            assert!(is_passed_through(OsStr::new(name)), "{name}");
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "PORT", "MY_PROVIDER_KEY"] {
            assert!(!is_passed_through(OsStr::new(name)), "{name}");
        }
    }
}
