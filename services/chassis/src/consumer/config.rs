//! How much a consumer takes.

use crate::config::{Environment, Problems};

crate::variables! {
    /// How much a consumer takes.
    pub struct ConsumerVariables {
        /// Most messages that the consumer of a queue holds unacknowledged.
        prefetch = "400",
    }
}

/// How much a consumer takes.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerConfig {
    /// Most messages held unacknowledged.
    pub(super) prefetch: u16,
}

impl ConsumerConfig {
    /// Reads [`ConsumerVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: ConsumerVariables = environment.read(problems)?;
        let prefetch = variables.prefetch().number(problems, 1..=u16::MAX.into())?;
        Some(Self { prefetch: u16::try_from(prefetch).ok()? })
    }
}
