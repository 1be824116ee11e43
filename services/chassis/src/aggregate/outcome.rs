//! What became of a trigger.

use thiserror::Error;

use crate::database::StoreError;

/// What became of a trigger.
#[derive(Debug)]
pub enum Outcome<Call> {
    /// It was applied, which is committed.
    Applied {
        /// What is to be done outside of the service.
        call: Option<Call>,
    },
    /// It can't be applied, however often it is tried; nothing changed.
    Rejected(Rejection),
    /// What is known about the order is of a newer version. Nothing changed, and it is to be tried again when that version
    /// is back.
    Newer,
}

impl<Call> Outcome<Call> {
    /// What is to be done outside of the service.
    pub(crate) fn take_call(&mut self) -> Option<Call> {
        match self {
            Self::Applied { call } => call.take(),
            Self::Rejected(_) | Self::Newer => None,
        }
    }
}

/// Why a trigger can't be applied.
#[derive(Debug, Error)]
pub enum Rejection {
    /// The contract rules it out.
    #[error("{0}")]
    Violation(String),
    /// What follows from it can't be stored.
    #[error("can't be stored: {0}")]
    Store(StoreError),
}

impl Rejection {
    /// `error.type` of the span.
    #[must_use]
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Violation(_) => "contract",
            Self::Store(StoreError::Panicked(_)) => "panic",
            Self::Store(_) => "constraint",
        }
    }
}

/// The service stops before the triggers could be applied; they are still where they were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the service is stopping")]
pub struct Stopping;
