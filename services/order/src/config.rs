//! What the order service reads from its environment.

use std::time::Duration;

use chassis::broker::{BrokerConfig, BrokerVariables};
use chassis::config::{Environment, Problems, Variable, Variables};
use chassis::consumer::{ConsumerConfig, ConsumerVariables};
use chassis::database::{DatabaseConfig, DatabaseVariables};
use chassis::http::{HttpConfig, HttpVariables};

chassis::variables! {
    /// The order service's own variables.
    pub struct OrderVariables {
        /// TCP port to listen on.
        port = "3001",
        /// How long an order may wait for the result of its payment; then it is cancelled, and its payment voided or refunded.
        saga_timeout = "15m",
    }
}

/// Every variable of the service, for `--help`.
pub const VARIABLES: &[&[Variable]] = &[
    OrderVariables::VARIABLES,
    HttpVariables::VARIABLES,
    DatabaseVariables::VARIABLES,
    BrokerVariables::VARIABLES,
    ConsumerVariables::VARIABLES,
];

/// The order service's configuration.
pub struct Config {
    /// Where it listens.
    pub http: HttpConfig,
    /// How long an order may wait for its payment.
    pub saga_timeout: Duration,
    /// Its database.
    pub database: DatabaseConfig,
    /// The broker.
    pub broker: BrokerConfig,
    /// How much the consumers take.
    pub consumer: ConsumerConfig,
}

impl Config {
    /// Reads the configuration; every mistake goes to `problems`.
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let own: OrderVariables = environment.read(problems)?;
        let http = HttpConfig::from_environment(own.port(), environment, problems);
        let saga_timeout = own.saga_timeout().duration(problems);
        let database = DatabaseConfig::from_environment(environment, problems);
        let broker = BrokerConfig::from_environment(environment, problems);
        let consumer = ConsumerConfig::from_environment(environment, problems);
        Some(Self {
            http: http?,
            saga_timeout: saga_timeout?,
            database: database?,
            broker: broker?,
            consumer: consumer?,
        })
    }
}
