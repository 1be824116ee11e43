//! What the payment service reads from its environment.

use chassis::config::{Environment, Problems, Variable, Variables};
use chassis::participant::ParticipantConfig;

use crate::collection::{CollectionConfig, CollectionVariables};
use crate::provider::{SimulatorConfig, SimulatorVariables};

chassis::variables! {
    /// The payment service's own variables.
    pub struct PaymentVariables {
        /// TCP port to listen on.
        port = "3002",
    }
}

/// Every variable of the service, for `--help`.
pub const VARIABLES: &[&[Variable]] = &{
    let [http, database, broker, consumer] = ParticipantConfig::VARIABLES;
    let (collection, simulator) = (CollectionVariables::VARIABLES, SimulatorVariables::VARIABLES);
    [PaymentVariables::VARIABLES, http, database, broker, consumer, collection, simulator]
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
        let participant =
            own.and_then(|own| ParticipantConfig::from_environment(own.port(), environment, problems));
        let collection = CollectionConfig::from_environment(environment, problems);
        let simulator = SimulatorConfig::from_environment(environment, problems);
        Some(Self { participant: participant?, collection: collection?, simulator: simulator? })
    }
}
