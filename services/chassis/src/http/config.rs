//! Where and how a service listens.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::{Environment, Problems, Setting};

crate::variables! {
    /// Where a service listens.
    pub struct HttpVariables {
        /// IP address to listen on. Loopback unless told otherwise.
        listen_address = "127.0.0.1",
        /// Most connections open at once; further ones wait to be accepted.
        max_connections = "8192",
    }
}

/// Where and how a service listens.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address and port; port 0 takes any free one.
    pub address: SocketAddr,
    /// Most connections open at once.
    pub max_connections: usize,
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
    /// Reads `LISTEN_ADDRESS` and `MAX_CONNECTIONS`; `port` is the service's own `PORT`, whose default differs.
    pub fn from_environment(
        port: Setting<'_>,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Self> {
        let variables: HttpVariables = environment.read(problems)?;
        let port = port.port(problems);
        let address = variables.listen_address().parse_with(problems, |text| {
            text.parse::<IpAddr>().map_err(|_| "must be an IP address such as 127.0.0.1 or ::".to_owned())
        });
        let max_connections = variables.max_connections().number(problems, 1..=1_000_000);
        Some(Self {
            address: SocketAddr::new(address?, port?),
            max_connections: max_connections? as usize,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            max_body: 64 * 1024,
        })
    }
}
