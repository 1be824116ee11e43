//! What the gateway reads from its environment.

use std::ops::RangeInclusive;
use std::time::Duration;

use chassis::broker::{BrokerConfig, BrokerVariables};
use chassis::config::{Environment, Problems, Variable, Variables};
use chassis::http::{self, HttpConfig, HttpVariables, PerAddress};
use chassis::transport::{Protocol, ServerCertificate, Transport, TransportVariables};
use secrecy::SecretString;
use url::Url;

use crate::access::AccessConfig;
use crate::console::{ConsoleConfig, ConsoleVariables};
use crate::cors::CorsConfig;
use crate::proxies::TrustedProxies;
use crate::shares::Limits;

/// How often all may be compared: not pass after pass, and at least once a year.
const FULL_PASS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);

chassis::variables! {
    /// The gateway's own variables.
    pub struct GatewayVariables {
        /// TCP port to listen on.
        port = "3000",
        /// IP address and port of `/health/live`, `/health/ready` and `/metrics`, for probes and scrapers: not for clients.
        management_address = "127.0.0.1:4000",
        /// Where the order service is.
        order_service_url = "http://127.0.0.1:3001",
        /// Where the payment service is.
        payment_service_url = "http://127.0.0.1:3002",
        /// How long a query may take, retries included, in milliseconds.
        request_timeout = "5000",
        /// How often all orders and payments are compared, counted from the beginning of the last time: `1m` to `366d`. What changes is compared all the time.
        books_full_pass = "24h",
        /// What it presents to order and payment, as their `SERVICE_TOKEN`.
        service_token: secret,
        /// The certificate that clients see, and any between it and an authority's (PEM). With this and the next the gateway speaks HTTPS; without, a proxy in front of it does. Both are read again when they change.
        https_certificate_file,
        /// The private key of that certificate (PEM).
        https_key_file,
        /// File of API keys, as `paysaga key` writes it; a change is in force within a second. Required, unless `AUTHENTICATION` is `off`.
        api_keys_file,
        /// `off`: ask for no API keys. Every caller that reaches the gateway, such as through a proxy on its host, is then an operator.
        authentication = "on",
        /// Requests a second that a caller may send, and as many at once after a pause, unless its key has a `rate=`. Keys with `admin:write` have no limits.
        rate_limit = "500",
        /// Most requests of a caller that are under way at once.
        concurrency_limit = "64",
        /// Most streams of a caller that are open at once. They don't count as requests under way.
        stream_limit = "256",
        /// Most connections from one address (with IPv6, from one network of 64 bits) open at once; further ones are closed.
        max_connections_per_address = "1024",
        /// Proxies that are believed about the address of a client (`X-Forwarded-For`), and whose connections are not counted: networks or addresses, separated by commas.
        trusted_proxies,
        /// Web origins whose pages may call the gateway, separated by commas; `*` for all. None by default.
        cors_origins,
    }
}

/// Every variable of the gateway, for `--help`.
pub const VARIABLES: &[&[Variable]] = &[
    GatewayVariables::VARIABLES,
    ConsoleVariables::VARIABLES,
    HttpVariables::VARIABLES,
    TransportVariables::VARIABLES,
    BrokerVariables::VARIABLES,
];

/// The gateway's configuration.
pub struct Config {
    /// Where it listens.
    pub http: HttpConfig,
    /// The certificate that clients see, if it speaks HTTPS itself.
    pub https: Option<ServerCertificate>,
    /// How its other connections are protected.
    pub transport: Transport,
    /// What it presents to order and payment.
    pub service_token: Option<SecretString>,
    /// The broker.
    pub broker: BrokerConfig,
    /// Where the order service is.
    pub order_url: Url,
    /// Where the payment service is.
    pub payment_url: Url,
    /// How long a query may take, retries included.
    pub request_timeout: Duration,
    /// How often all orders and payments are compared.
    pub books_full_pass: Duration,
    /// How callers are identified.
    pub access: AccessConfig,
    /// The operators' pages.
    pub(crate) console: ConsoleConfig,
    /// Which web pages may call.
    pub cors: Option<CorsConfig>,
    /// What a caller may use.
    pub limits: Limits,
    /// Who is believed about where a request comes from.
    pub(crate) proxies: TrustedProxies,
}

impl Config {
    /// Reads the configuration; every mistake goes to `problems`.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let told = Transport::from_environment(environment, problems);
        let transport = told.clone().unwrap_or_default();
        let broker = BrokerConfig::from_environment(&transport, environment, problems);
        let own: GatewayVariables = environment.read(problems)?;
        let http = HttpConfig::from_environment(own.port(), own.management_address(), environment, problems);
        let https =
            ServerCertificate::from_settings(own.https_certificate_file(), own.https_key_file(), problems);
        if let (Some(http), Ok(None)) = (&http, &https) {
            http.require_protection(&transport, problems);
        }
        let order_url = own.order_service_url().url(problems, &["http", "https"]);
        let payment_url = own.payment_service_url().url(problems, &["http", "https"]);
        for (variable, url) in [("ORDER_SERVICE_URL", &order_url), ("PAYMENT_SERVICE_URL", &payment_url)] {
            if let Some(host) = url.as_ref().filter(|url| url.scheme() == "http").and_then(Url::host_str) {
                transport.plaintext.require(Protocol::Http, host, variable, problems);
            }
        }
        let service_token = http::token(own.service_token(), problems);
        let request_timeout = own.request_timeout().duration(problems);
        let books_full_pass = Self::books_full_pass(&own, problems);
        let cors = own.cors_origins().optional(problems, CorsConfig::parse);
        let access = Self::access(&own, problems);
        let console: Option<ConsoleVariables> = environment.read(problems);
        let console = console.and_then(|console| ConsoleConfig::from_variables(&console, problems));
        let rate = own.rate_limit().parse_with(problems, |text| {
            text.parse().map_err(|_| "must be a number of requests a second, at least 1".to_owned())
        });
        let concurrency = own.concurrency_limit().number(problems, 1..=1_000_000);
        let streams = own.stream_limit().number(problems, 1..=1_000_000);
        let per_address = own.max_connections_per_address().number(problems, 1..=1_000_000);
        let proxies = own.trusted_proxies().optional(problems, TrustedProxies::parse)?.unwrap_or_default();
        let most = per_address? as usize;
        let per_address = Some(PerAddress { most, unless: proxies.networks().to_vec() });
        Some(Self {
            http: HttpConfig { per_address, ..http? },
            https: https.ok()?,
            transport: told?,
            service_token: service_token?,
            broker: broker?,
            order_url: order_url?,
            payment_url: payment_url?,
            request_timeout: request_timeout?,
            books_full_pass: books_full_pass?,
            access: access?,
            console: console?,
            cors: cors?,
            limits: Limits { rate: rate?, concurrency: concurrency? as usize, streams: streams? as usize },
            proxies,
        })
    }

    fn books_full_pass(own: &GatewayVariables, problems: &mut Problems) -> Option<Duration> {
        let interval = own.books_full_pass().duration(problems)?;
        if FULL_PASS.contains(&interval) {
            return Some(interval);
        }
        problems.add("BOOKS_FULL_PASS", "must be a time from 1m to 366d");
        None
    }

    /// Keys, or `AUTHENTICATION=off`. An address on loopback is no reason to leave them out: a proxy on the same host may
    /// publish it.
    fn access(own: &GatewayVariables, problems: &mut Problems) -> Option<AccessConfig> {
        let on = own.authentication().switch(problems)?;
        let keys = own.api_keys_file().optional(problems, AccessConfig::read)?;
        match keys {
            Some(_) if !on => {
                problems.add("AUTHENTICATION", "is off although API_KEYS_FILE is given; give one of them");
                None
            }
            Some(keys) => Some(keys),
            None if on => {
                problems.add("API_KEYS_FILE", "is missing; AUTHENTICATION=off accepts requests without keys");
                None
            }
            None => Some(AccessConfig::Open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        let url = [("RABBITMQ_URL", "amqp://user:secret@localhost/shop")];
        let variables = url.iter().chain(variables);
        let environment = Environment::new(variables.map(|(name, value)| ((*name).into(), (*value).into())));
        let mut problems = Problems::default();
        let config = Config::from_environment(&environment, &mut problems);
        assert_eq!(config.is_some(), problems.lines().is_empty());
        problems.lines().to_vec()
    }

    #[test]
    fn every_address_needs_keys_or_authentication_off() {
        for address in ["127.0.0.1", "::1", "0.0.0.0"] {
            let address = ("LISTEN_ADDRESS", address);
            let proxied = ("ALLOW_PLAINTEXT", "amqp,http");
            let lines = problems(&[address, proxied]);
            assert!(lines.len() == 1 && lines[0].starts_with("API_KEYS_FILE: is missing"), "{lines:?}");
            assert!(problems(&[address, proxied, ("AUTHENTICATION", "off")]).is_empty());
        }
    }

    #[test]
    fn all_is_compared_once_in_a_minute_at_most_and_once_in_a_year_at_least() {
        let problems = |interval| {
            problems(&[
                ("AUTHENTICATION", "off"),
                ("ALLOW_PLAINTEXT", "amqp,http"),
                ("BOOKS_FULL_PASS", interval),
            ])
        };
        for interval in ["1m", "24h", "366d"] {
            assert_eq!(problems(interval), [""; 0], "{interval}");
        }
        for interval in ["0", "59s", "367d", "20000years"] {
            assert_eq!(problems(interval), ["BOOKS_FULL_PASS: must be a time from 1m to 366d"], "{interval}");
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let lines = problems(&[
            ("PORT", "-1"),
            ("LISTEN_ADDRESS", "here"),
            ("ORDER_SERVICE_URL", "ftp://order"),
            ("REQUEST_TIMEOUT", "long"),
            ("CORS_ORIGINS", "not an origin"),
            ("API_KEYS_FILE", "/does/not/exist"),
        ]);
        let names: Vec<_> = lines.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(
            names,
            [
                "PORT",
                "LISTEN_ADDRESS",
                "ORDER_SERVICE_URL",
                "REQUEST_TIMEOUT",
                "CORS_ORIGINS",
                "API_KEYS_FILE"
            ]
        );
    }
}
