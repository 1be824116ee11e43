//! Where and how a service listens.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::PerAddress;
use crate::config::{Environment, Problems, Setting};
use crate::transport::{Protocol, Transport};

crate::variables! {
    /// Where a service listens.
    pub struct HttpVariables {
        /// IP address to listen on. Loopback unless told otherwise.
        listen_address = "127.0.0.1",
        /// Most connections open at once; further ones wait to be accepted.
        max_connections = "8192",
    }
}

/// Most connections to the management listener open at once.
const MAX_MANAGEMENT_CONNECTIONS: usize = 64;

/// Where and how a service listens.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address and port; port 0 takes any free one.
    pub address: SocketAddr,
    /// Address and port of health and metrics.
    pub management_address: SocketAddr,
    /// Most connections open at once.
    pub max_connections: usize,
    /// A bound of those from one address, if there is one.
    pub per_address: Option<PerAddress>,
    /// How long a client may take to send a request's header. Less than a shutdown may take, which waits for it.
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a client may take to read a response.
    pub write_timeout: Duration,
    /// Largest request body, in bytes.
    pub max_body: usize,
}

impl HttpConfig {
    /// Reads `LISTEN_ADDRESS` and `MAX_CONNECTIONS`; `port` and `management_address` are the service's own `PORT` and
    /// `MANAGEMENT_ADDRESS`, whose defaults differ.
    pub fn from_environment(
        port: Setting<'_>,
        management_address: Setting<'_>,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Self> {
        let variables: HttpVariables = environment.read(problems)?;
        let port = port.port(problems);
        let address = variables.listen_address().parse_with(problems, |text| {
            text.parse::<IpAddr>().map_err(|_| "must be an IP address such as 127.0.0.1 or ::".to_owned())
        });
        let management_address = management_address.parse_with(problems, |text| {
            text.parse().map_err(|_| "must be an IP address and a port such as 127.0.0.1:4000".to_owned())
        });
        let max_connections = variables.max_connections().number(problems, 1..=1_000_000);
        Some(Self {
            address: SocketAddr::new(address?, port?),
            management_address: management_address?,
            max_connections: max_connections? as usize,
            per_address: None,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            max_body: 64 * 1024,
        })
    }

    /// Notes a problem if it listens beyond loopback without TLS, and that is not accepted.
    pub fn require_protection(&self, transport: &Transport, problems: &mut Problems) {
        let address = self.address.ip().to_string();
        transport.plaintext.require(Protocol::Http, &address, "LISTEN_ADDRESS", problems);
    }

    /// The same for the management listener.
    pub(super) fn of_management(&self) -> Self {
        Self {
            address: self.management_address,
            max_connections: MAX_MANAGEMENT_CONNECTIONS,
            per_address: None,
            ..self.clone()
        }
    }
}
