//! How to reach the broker.

use std::time::Duration;

use lapin::uri::AMQPUri;

use crate::config::{Environment, Problems};

crate::variables! {
    /// How a service uses RabbitMQ.
    pub struct BrokerVariables {
        /// URL of RabbitMQ with user, password and virtual host (`amqp://user:password@host:5672/vhost`, `amqps://` for TLS).
        rabbitmq_url: secret,
        /// `declare`: make the exchanges, queues and bindings that are missing. `verify`: only check that they are there, for a user without configure permission.
        broker_topology = "declare",
        /// How long a message may take to be confirmed by the broker.
        publish_timeout = "5s",
    }
}

/// How a service uses RabbitMQ.
#[derive(Clone)]
pub struct BrokerConfig {
    pub(crate) uri: AMQPUri,
    pub(crate) declare: bool,
    publish_timeout: Duration,
}

/// Seconds between heartbeats. A connection whose other end vanished without a word is noticed after two.
const HEARTBEAT: u16 = 10;

impl BrokerConfig {
    /// Reads [`BrokerVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: BrokerVariables = environment.read(problems)?;
        let uri = variables.rabbitmq_url().parse_with(problems, |text| {
            let mut uri: AMQPUri = text.parse().map_err(|error| {
                format!("must be a URL such as amqp://user:password@host:5672/vhost ({error})")
            })?;
            uri.query.heartbeat.get_or_insert(HEARTBEAT);
            Ok(uri)
        });
        let declare = variables.broker_topology().parse_with(problems, |text| match text {
            "declare" => Ok(true),
            "verify" => Ok(false),
            _ => Err("must be declare or verify".to_owned()),
        });
        let publish_timeout = variables.publish_timeout().duration(problems);
        Some(Self { uri: uri?, declare: declare?, publish_timeout: publish_timeout? })
    }

    /// How long a message may take to be confirmed.
    #[must_use]
    pub const fn publish_timeout(&self) -> Duration {
        self.publish_timeout
    }

    /// Host, port and virtual host: what may be shown of the URL.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.uri.authority.host, self.uri.authority.port, self.uri.vhost)
    }
}
