//! The environment variables that a service is started with.

use std::env;
use std::ffi::{OsStr, OsString};
use std::iter;
use std::path::PathBuf;

use contracts::topology::Service;

use super::Ports;
use crate::secret::Password;

/// `amqp://…` of the broker.
#[derive(Clone)]
pub(crate) enum BrokerUrls {
    /// As one user, whose services declare what they need.
    Shared(String),
    /// As the user of each service, none of whom may declare anything: what they need is there.
    OfServices {
        /// As the administrator.
        administrator: String,
        /// As each service's user.
        services: Vec<(Service, String)>,
    },
}

impl BrokerUrls {
    /// As a user who may do everything.
    pub(crate) fn administrator(&self) -> &str {
        match self {
            Self::Shared(url) | Self::OfServices { administrator: url, .. } => url,
        }
    }

    fn variables(&self, service: Service) -> Vec<(&'static str, String)> {
        match self {
            Self::Shared(url) => vec![("RABBITMQ_URL", url.clone())],
            Self::OfServices { services, .. } => {
                let own = services.iter().filter(|(of, _)| *of == service);
                let url = own.map(|(_, url)| ("RABBITMQ_URL", url.clone()));
                url.chain([("BROKER_TOPOLOGY", "verify".to_owned())]).collect()
            }
        }
    }
}

/// `postgres://…` of a service's database.
#[derive(Clone, Default)]
pub(crate) struct DatabaseUrls {
    /// As the role that the service works as.
    pub(crate) service: String,
    /// As the role that owns the schema, if that is another one.
    pub(crate) owner: Option<String>,
}

/// What the services connect to.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) rabbitmq: BrokerUrls,
    pub(crate) order_database: DatabaseUrls,
    pub(crate) payment_database: DatabaseUrls,
    /// The gateway's file of API keys.
    pub(crate) api_keys_file: PathBuf,
    /// What the gateway presents to order and payment.
    pub(crate) service_token: Password,
    /// Where traces go, if anywhere.
    pub(crate) otlp_url: Option<String>,
    /// Where Jaeger's pages are, if there is one.
    pub(crate) jaeger_url: Option<String>,
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
        ("SERVICE_TOKEN", connections.service_token.expose().to_owned()),
    ];
    variables.extend(connections.rabbitmq.variables(service));
    match service {
        Service::Gateway => variables.extend([
            ("ORDER_SERVICE_URL", format!("http://127.0.0.1:{}", ports.order)),
            ("PAYMENT_SERVICE_URL", format!("http://127.0.0.1:{}", ports.payment)),
            ("API_KEYS_FILE", connections.api_keys_file.display().to_string()),
        ]),
        Service::Order => variables.extend(connections.order_database.variables()),
        Service::Payment => variables.extend(connections.payment_database.variables()),
    }
    if env::var_os("ENVIRONMENT_NAME").is_none() && service == Service::Gateway {
        variables.push(("ENVIRONMENT_NAME", "this machine".to_owned()));
    }
    if let Some(jaeger) = connections.jaeger_url.as_ref().filter(|_| service == Service::Gateway) {
        variables.push(("JAEGER_URL", jaeger.clone()));
    }
    if let Some(otlp) = &connections.otlp_url {
        let callers_attributes =
            env::var_os("OTEL_RESOURCE_ATTRIBUTES").and_then(|text| text.into_string().ok());
        variables.extend([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.clone()),
            ("OTEL_RESOURCE_ATTRIBUTES", on_one_host(callers_attributes.as_deref())),
        ]);
    }
    variables
}

/// Resource attributes that tell Jaeger that the services share a host, and with it a clock. It takes spans without them for those of
/// different hosts, and warns of clock skew wherever one begins or ends outside of its parent; a step of a saga does, since it
/// follows the one that caused it. Its API for its pages reads `ip`, its newer one `host.ip`.
pub(crate) fn on_one_host(callers_attributes: Option<&str>) -> String {
    let ours = ["ip=127.0.0.1", "host.ip=127.0.0.1"];
    let callers = callers_attributes.filter(|attributes| !attributes.is_empty());
    ours.into_iter().chain(callers).collect::<Vec<_>>().join(",")
}

/// The caller's own endpoint for traces, if the environment names one. The services send traces there, and not to a private Jaeger.
#[must_use]
pub fn otlp_endpoint_of_caller() -> Option<String> {
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .into_iter()
        .filter_map(|name| env::var_os(name)?.into_string().ok())
        .find(|endpoint| !endpoint.is_empty())
}

impl DatabaseUrls {
    fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let owner = self.owner.clone().map(|owner| ("MIGRATION_DATABASE_URL", owner));
        iter::once(("DATABASE_URL", self.service.clone())).chain(owner)
    }
}

/// The variables of our own environment that services get too; everything else stays out, so that what runs does
/// not depend on the terminal it was started from.
pub(crate) fn passed_through(service: Service) -> Vec<(OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_passed_through(service, name)).collect()
}

fn is_passed_through(service: Service, name: &OsStr) -> bool {
    const NAMES: [&str; 6] = ["HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_LOG", "SAGA_TIMEOUT"];
    const PREFIXES: [&str; 3] = ["PROVIDER_", "RETENTION_", "OTEL_"];
    // One of them is a secret.
    const OF_GATEWAY: [&str; 2] = ["CONSOLE", "ENVIRONMENT_"];
    // One name for three services would make them one in every trace.
    const KEPT_BACK: &str = "OTEL_SERVICE_NAME";
    name.to_str().is_some_and(|name| {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let is_of_gateway = service == Service::Gateway && begins(&OF_GATEWAY);
        name != KEPT_BACK && (NAMES.contains(&name) || begins(&PREFIXES) || is_of_gateway)
    })
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    fn variables(service: Service, otlp_url: Option<&str>) -> Vec<(&'static str, String)> {
        let ports = Ports { gateway: 3000, order: 3001, payment: 3002 };
        let connections = Connections {
            rabbitmq: BrokerUrls::OfServices {
                administrator: "amqp://admin@broker".to_owned(),
                services: Service::VARIANTS
                    .iter()
                    .map(|service| (*service, format!("amqp://{service}@broker")))
                    .collect(),
            },
            order_database: DatabaseUrls { service: "postgres://orders".to_owned(), owner: None },
            payment_database: DatabaseUrls { service: "postgres://payments".to_owned(), owner: None },
            api_keys_file: PathBuf::from("/data/api-keys"),
            service_token: serde_json::from_str("\"token\"").unwrap(),
            otlp_url: otlp_url.map(str::to_owned),
            jaeger_url: None,
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
    fn every_service_has_a_broker_user_of_its_own_and_declares_nothing() {
        for &service in Service::VARIANTS {
            let variables = variables(service, None);
            assert_eq!(value(&variables, "RABBITMQ_URL").unwrap(), format!("amqp://{service}@broker"));
            assert_eq!(value(&variables, "BROKER_TOPOLOGY").unwrap(), "verify");
        }
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
    fn the_services_know_the_gateway_by_one_token() {
        for &service in Service::VARIANTS {
            assert_eq!(value(&variables(service, None), "SERVICE_TOKEN").unwrap(), "token");
        }
    }

    #[test]
    fn traces_go_nowhere_unless_there_is_a_jaeger() {
        assert_eq!(value(&variables(Service::Order, None), "OTEL_EXPORTER_OTLP_ENDPOINT"), None);
        let traced = variables(Service::Order, Some("http://127.0.0.1:4318"));
        assert_eq!(value(&traced, "OTEL_EXPORTER_OTLP_ENDPOINT").unwrap(), "http://127.0.0.1:4318");
    }

    #[test]
    fn spans_are_those_of_one_host_and_keep_the_callers_attributes() {
        assert_eq!(on_one_host(None), "ip=127.0.0.1,host.ip=127.0.0.1");
        assert_eq!(on_one_host(Some("")), on_one_host(None));
        // The last of a name counts.
        assert_eq!(
            on_one_host(Some("team=a,ip=10.0.0.1")),
            "ip=127.0.0.1,host.ip=127.0.0.1,team=a,ip=10.0.0.1"
        );
    }

    #[test]
    fn settings_of_provider_and_traces_are_passed_through_and_nothing_else_is() {
        for name in [
            "PROVIDER_LATENCY_MS",
            "RETENTION_TIMELINE",
            "RUST_LOG",
            "SAGA_TIMEOUT",
            "CONSOLE",
            "CONSOLE_SESSION_SECRET",
            "ENVIRONMENT_COLOUR",
            "TZ",
            "OTEL_TRACES_SAMPLER",
        ] {
            assert!(is_passed_through(Service::Gateway, OsStr::new(name)), "{name}");
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "PORT", "MY_PROVIDER_KEY", "OTEL_SERVICE_NAME"]
        {
            assert!(!is_passed_through(Service::Gateway, OsStr::new(name)), "{name}");
        }
        assert!(!is_passed_through(Service::Order, OsStr::new("CONSOLE_SESSION_SECRET")));
    }
}
