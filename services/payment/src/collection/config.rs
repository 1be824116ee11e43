//! How the provider is used.

use std::time::Duration;

use chassis::config::{Environment, Problems};

chassis::variables! {
    /// How the provider is used.
    pub struct CollectionVariables {
        /// Most calls to the payment provider at once. Divided by its latency, that is how many payments a second are possible.
        provider_concurrency = "1000",
        /// How long the payment provider may take to answer; after that the outcome of the call is unknown, and is looked up.
        provider_timeout = "8s",
    }
}

/// How the provider is used.
#[derive(Clone, Debug)]
pub struct CollectionConfig {
    pub(super) concurrency: usize,
    pub(super) timeout: Duration,
}

impl CollectionConfig {
    /// Reads [`CollectionVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: CollectionVariables = environment.read(problems)?;
        let concurrency = variables.provider_concurrency().number(problems, 1..=10_000);
        let timeout = variables.provider_timeout().duration(problems);
        Some(Self { concurrency: concurrency? as usize, timeout: timeout? })
    }

    /// How long a step belongs to the replica that took it: the call and some time to commit its result. Should it lapse
    /// too early, two replicas ask the same question under the same key, and the second answer changes nothing.
    pub(super) fn lease(&self) -> Duration {
        self.timeout + Duration::from_secs(5)
    }

    /// How long after its step was taken the provider may still carry out a charge.
    pub(super) fn charge_deadline(&self) -> Duration {
        self.timeout * 3
    }

    /// How long after its step was taken a charge may still come to light: a little longer, since clocks differ.
    pub(crate) fn charge_transit(&self) -> Duration {
        self.charge_deadline() + Duration::from_secs(2)
    }
}
