//! What the payment service reads from its environment.

use chassis::config::{Environment, Problems, Variable, Variables};
use chassis::participant::ParticipantConfig;
use chassis::retention::{self, Records};

use crate::collection::{CollectionConfig, CollectionVariables};
use crate::provider::{SimulatorConfig, SimulatorVariables};

chassis::variables! {
    /// The payment service's own variables.
    pub struct PaymentVariables {
        /// TCP port to listen on.
        port = "3002",
        /// IP address and port of `/health/live`, `/health/ready` and `/metrics`, for probes and scrapers: not for clients.
        management_address = "127.0.0.1:4002",
        /// How long the simulated provider remembers a charge that holds no money, once its payment has come to its end (such as `90d`). Without end unless set.
        retention_simulated_charges,
    }
}

/// Every variable of the service, for `--help`.
pub const VARIABLES: &[&[Variable]] = &{
    let [own, http, gateway_only, transport, database, broker, consumer, retention] =
        ParticipantConfig::VARIABLES;
    let (collection, simulator) = (CollectionVariables::VARIABLES, SimulatorVariables::VARIABLES);
    [
        PaymentVariables::VARIABLES,
        own,
        http,
        gateway_only,
        transport,
        database,
        broker,
        consumer,
        collection,
        simulator,
        retention,
    ]
};

/// The payment service's configuration.
pub struct Config {
    /// What every participant needs.
    pub participant: ParticipantConfig,
    /// How it uses the provider.
    pub collection: CollectionConfig,
    /// The provider.
    pub simulator: SimulatorConfig,
}

impl Config {
    /// Reads the configuration; every mistake goes to `problems`.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let own: Option<PaymentVariables> = environment.read(problems);
        let participant = own.as_ref().and_then(|own| {
            ParticipantConfig::from_environment(own.port(), own.management_address(), environment, problems)
        });
        let keep_charges =
            own.as_ref().and_then(|own| retention::keep(own.retention_simulated_charges(), problems));
        let collection = CollectionConfig::from_environment(environment, problems);
        let simulator = SimulatorConfig::from_environment(environment, problems);
        let mut participant = participant?;
        participant.keep(&[Records::SimulatedCharges], keep_charges?);
        Some(Self { participant, collection: collection?, simulator: simulator? })
    }
}
