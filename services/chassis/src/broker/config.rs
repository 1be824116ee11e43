//! How to reach the broker.

use std::time::Duration;

use contracts::topology::Service;
use strum::EnumString;

use super::{BrokerUrl, Publishers};
use crate::config::{Environment, Problems};
use crate::transport::{IdentityFiles, Protocol, Transport};

crate::variables! {
    /// How a service uses RabbitMQ.
    pub struct BrokerVariables {
        /// URL of RabbitMQ with user, password and virtual host (`amqp://user:password@host:5672/vhost`, `amqps://` for TLS; `amqps://user@host/vhost?auth_mechanism=external` to be known by the certificate of `TLS_CERTIFICATE_FILE`). For a cluster the URL of each node, separated by commas; they are tried in turn.
        rabbitmq_url: secret,
        /// `declare`: make the exchanges, queues and bindings that are missing, those included that other services consume. `own`: make only what this service consumes, for one beside the NestJS services. `verify`: only check that they are there, for a user without configure permission.
        broker_topology = "declare",
        /// `on`: believe a message only if its `user_id`, which RabbitMQ checks, is the user of the service whose event it is. These are named as this service's own user, with the other's name in place of its own: `paysaga-order`, `paysaga-payment`. With one user for all of them there is nothing to verify. `off`: beside NestJS services, which don't say who they are.
        verify_publishers = "on",
        /// How long a message may take to be confirmed by the broker.
        publish_timeout = "5s",
    }
}

/// What a service does about exchanges, queues and bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "lowercase")]
pub(super) enum TopologyMode {
    /// Declares everything that it consumes and publishes to.
    Declare,
    /// Declares what it consumes. The rest is others' to declare, with other arguments than ours.
    Own,
    /// Declares nothing, and checks that everything is there.
    Verify,
}

/// How a service uses RabbitMQ.
#[derive(Clone)]
pub struct BrokerConfig {
    pub(super) url: BrokerUrl,
    /// What it shows to the broker, which may ask for it.
    pub(super) identity: Option<IdentityFiles>,
    pub(super) topology: TopologyMode,
    verify_publishers: bool,
    publish_timeout: Duration,
}

impl BrokerConfig {
    /// Reads [`BrokerVariables`].
    pub fn from_environment(
        transport: &Transport,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Self> {
        let variables: BrokerVariables = environment.read(problems)?;
        let url: Option<BrokerUrl> = variables.rabbitmq_url().parse(problems);
        for host in url.iter().flat_map(BrokerUrl::plaintext_hosts) {
            transport.plaintext.require(Protocol::Amqp, host, "RABBITMQ_URL", problems);
        }
        if transport.identity.is_none() && url.as_ref().is_some_and(BrokerUrl::asks_for_certificate) {
            problems
                .add("RABBITMQ_URL", "auth_mechanism=external needs a certificate (TLS_CERTIFICATE_FILE)");
        }
        let topology = variables.broker_topology().parse_with(problems, |text| {
            text.parse().map_err(|_| "must be declare, own or verify".to_owned())
        });
        let verify_publishers = variables.verify_publishers().switch(problems);
        let publish_timeout = variables.publish_timeout().duration(problems);
        Some(Self {
            url: url?,
            identity: transport.identity.clone(),
            topology: topology?,
            verify_publishers: verify_publishers?,
            publish_timeout: publish_timeout?,
        })
    }

    /// The users that a service's messages must come from.
    pub(crate) fn publishers(&self, service: Service) -> Publishers {
        if self.verify_publishers {
            Publishers::named_like(self.url.user(), service)
        } else {
            Publishers::unverified()
        }
    }

    /// How long a message may take to be confirmed.
    #[must_use]
    pub const fn publish_timeout(&self) -> Duration {
        self.publish_timeout
    }
}
