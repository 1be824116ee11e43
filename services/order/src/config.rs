//! What the order service reads from its environment.

use std::time::Duration;

use chassis::config::{Environment, Problems, Variable, Variables};
use chassis::participant::ParticipantConfig;
use chassis::retention::{self, Records};

chassis::variables! {
    /// The order service's own variables.
    pub struct OrderVariables {
        /// TCP port to listen on.
        port = "3001",
        /// IP address and port of `/health/live`, `/health/ready` and `/metrics`, for probes and scrapers: not for clients.
        management_address = "127.0.0.1:4001",
        /// How long an order may wait for the result of its payment; then it is cancelled, and its payment voided or refunded.
        saga_timeout = "15m",
        /// How long the timeline of an order that has settled is kept (such as `90d`). Without end unless set.
        retention_timeline,
    }
}

/// Every variable of the service, for `--help`.
pub const VARIABLES: &[&[Variable]] = &{
    let [own, http, gateway_only, transport, database, broker, consumer, retention] =
        ParticipantConfig::VARIABLES;
    [OrderVariables::VARIABLES, own, http, gateway_only, transport, database, broker, consumer, retention]
};

/// The order service's configuration.
pub struct Config {
    /// What every participant needs.
    pub participant: ParticipantConfig,
    /// How long an order may wait for its payment.
    pub saga_timeout: Duration,
}

impl Config {
    /// Reads the configuration; every mistake goes to `problems`.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let own: OrderVariables = environment.read(problems)?;
        let participant =
            ParticipantConfig::from_environment(own.port(), own.management_address(), environment, problems);
        let saga_timeout = own.saga_timeout().duration(problems);
        let keep_timeline = retention::keep(own.retention_timeline(), problems);
        let mut participant = participant?;
        participant.keep(&[Records::TimelineEntries], keep_timeline?);
        Some(Self { participant, saga_timeout: saga_timeout? })
    }
}
