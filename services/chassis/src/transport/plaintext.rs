//! What may go over a network in plain text: nothing, unless the configuration says so.

use std::net::IpAddr;
use std::str::FromStr;

use strum::{Display, EnumString, VariantArray};

use crate::config::Problems;

/// What can go over a network with TLS or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Protocol {
    /// RabbitMQ.
    Amqp,
    /// Requests to a service.
    Http,
    /// PostgreSQL.
    Postgres,
}

impl Protocol {
    /// What protects it.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Amqp => "amqps://",
            Self::Http => "TLS (docs/SECURITY.md, \"Between the services\")",
            Self::Postgres => "sslmode=verify-full",
        }
    }
}

/// The protocols that may go beyond loopback in plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plaintext(Vec<Protocol>);

impl Plaintext {
    /// Notes a problem with `variable` unless this protocol may go to `host` in plain text.
    pub fn require(&self, protocol: Protocol, host: &str, variable: &str, problems: &mut Problems) {
        if !is_loopback(host) && !self.0.contains(&protocol) {
            let remedy = protocol.remedy();
            problems.add(
                variable,
                format_args!(
                    "{host} is beyond loopback, and what goes there would not be encrypted. Use {remedy}, or \
                     accept that with ALLOW_PLAINTEXT={protocol}"
                ),
            );
        }
    }
}

impl FromStr for Plaintext {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let protocols = text.split(',').map(|protocol| protocol.trim().parse()).collect::<Result<_, _>>();
        protocols
            .map(Self)
            .map_err(|_| "must be amqp, http or postgres, or some with commas between".to_owned())
    }
}

/// Whether what is sent to this host stays on this machine. The name `localhost` does (RFC 6761 §6.3).
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |address| address.to_canonical().is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_addresses_and_its_name() {
        for host in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["0.0.0.0", "::", "10.0.0.1", "broker", "localhost.example.com", "127.0.0.1.example.com", ""]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_network_needs_encryption_or_an_exception_for_the_protocol() {
        let told = |allowed: &Plaintext, host| {
            let mut problems = Problems::default();
            allowed.require(Protocol::Amqp, host, "RABBITMQ_URL", &mut problems);
            problems.lines().concat()
        };
        let refusal = told(&Plaintext::default(), "broker");
        assert!(refusal.contains("amqps://") && refusal.contains("ALLOW_PLAINTEXT=amqp"), "{refusal}");
        assert_eq!(told(&Plaintext::default(), "localhost"), "");
        assert_eq!(told(&"http, amqp".parse().unwrap(), "broker"), "");
        assert_ne!(told(&"http,postgres".parse().unwrap(), "broker"), "");
        assert!("everything".parse::<Plaintext>().is_err());
    }
}
