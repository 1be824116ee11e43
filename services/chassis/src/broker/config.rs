//! How to reach the broker.

use std::time::Duration;

use super::BrokerUrl;
use crate::config::{Environment, Problems};

crate::variables! {
    /// How a service uses RabbitMQ.
    pub struct BrokerVariables {
        /// URL of RabbitMQ with user, password and virtual host (`amqp://user:password@host:5672/vhost`, `amqps://` for TLS). For a cluster the URL of each node, separated by commas; they are tried in turn.
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
    pub(super) url: BrokerUrl,
    pub(super) declare: bool,
    publish_timeout: Duration,
}

impl BrokerConfig {
    /// Reads [`BrokerVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: BrokerVariables = environment.read(problems)?;
        let url = variables.rabbitmq_url().parse(problems);
        let declare = variables.broker_topology().parse_with(problems, |text| match text {
            "declare" => Ok(true),
            "verify" => Ok(false),
            _ => Err("must be declare or verify".to_owned()),
        });
        let publish_timeout = variables.publish_timeout().duration(problems);
        Some(Self { url: url?, declare: declare?, publish_timeout: publish_timeout? })
    }

    /// How long a message may take to be confirmed.
    #[must_use]
    pub const fn publish_timeout(&self) -> Duration {
        self.publish_timeout
    }
}
