//! What the payment service reads from its environment.

use chassis::broker::{BrokerConfig, BrokerVariables};
use chassis::config::{Environment, Problems, Variable, Variables};
use chassis::consumer::{ConsumerConfig, ConsumerVariables};
use chassis::database::{DatabaseConfig, DatabaseVariables};
use chassis::http::{HttpConfig, HttpVariables};

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
pub const VARIABLES: &[&[Variable]] = &[
    PaymentVariables::VARIABLES,
    HttpVariables::VARIABLES,
    DatabaseVariables::VARIABLES,
    BrokerVariables::VARIABLES,
    ConsumerVariables::VARIABLES,
    CollectionVariables::VARIABLES,
    SimulatorVariables::VARIABLES,
];

/// The payment service's configuration.
pub struct Config {
    /// Where it listens.
    pub http: HttpConfig,
    /// Its database.
    pub database: DatabaseConfig,
    /// The broker.
    pub broker: BrokerConfig,
    /// How much the consumers take.
    pub consumer: ConsumerConfig,
    /// How it uses the provider.
    pub collection: CollectionConfig,
    /// The provider.
    pub simulator: SimulatorConfig,
}

impl Config {
    /// Reads the configuration; every mistake goes to `problems`.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let own: Option<PaymentVariables> = environment.read(problems);
        let http = own.and_then(|own| HttpConfig::from_environment(own.port(), environment, problems));
        let database = DatabaseConfig::from_environment(environment, problems);
        let broker = BrokerConfig::from_environment(environment, problems);
        let consumer = ConsumerConfig::from_environment(environment, problems);
        let collection = CollectionConfig::from_environment(environment, problems);
        let simulator = SimulatorConfig::from_environment(environment, problems);
        Some(Self {
            http: http?,
            database: database?,
            broker: broker?,
            consumer: consumer?,
            collection: collection?,
            simulator: simulator?,
        })
    }
}
