//! What can go wrong between a store and its database, and what to do about it.

use std::borrow::Cow;

use sqlx::postgres::PgQueryResult;
use strum::{IntoStaticStr, VariantArray};
use thiserror::Error;

/// Why a store could not read or write.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A guarded change found its row in another state than the one that it starts from.
    #[error("another transaction changed the same rows first")]
    Conflict,
    /// The database did not answer in time. The transaction may have been committed or not.
    #[error("the database did not answer in time")]
    Timeout,
    /// A value of ours can't be written to the database, or a stored one is none of ours.
    #[error("{0}")]
    Encoding(Box<dyn std::error::Error + Send + Sync>),
    /// The database refused, or can't be reached.
    #[error("{0}")]
    Database(sqlx::Error),
    /// A defect of ours, met by what was to be applied or stored.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// Whose fault an error is, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The database is unavailable, full, not set up, or its password changed: wait until it has been repaired.
    Infrastructure,
    /// Others hold what it needs, or it took too long, and it has waited for seconds already.
    Locked,
    /// Another transaction came in between: try it again at once.
    Collision,
    /// A row is not in the state that it was just read in: try it again, but not without end, since it may be damaged.
    Conflict,
    /// What was written breaks a rule of the schema: only another input helps.
    Permanent,
}

impl StoreError {
    /// Holds a guarded statement to its promise: every row was still in the state that the change starts from.
    pub fn expect_rows(result: &PgQueryResult, expected: usize) -> Result<(), Self> {
        if result.rows_affected() == expected as u64 { Ok(()) } else { Err(Self::Conflict) }
    }

    /// Whether other transactions are to blame, and it may go through when they have ended.
    pub(crate) fn is_held_up(&self) -> bool {
        matches!(self.kind(), FailureKind::Locked | FailureKind::Collision)
    }

    /// The SQLSTATE that the database reported, if it reported one.
    pub(crate) fn sqlstate(&self) -> Option<String> {
        let Self::Database(error) = self else { return None };
        sqlstate(error).map(Cow::into_owned)
    }

    /// Whose fault it is.
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Conflict => FailureKind::Conflict,
            Self::Timeout => FailureKind::Infrastructure,
            Self::Encoding(_) | Self::Panicked(_) => FailureKind::Permanent,
            Self::Database(error) => FailureKind::of(error),
        }
    }
}

impl FailureKind {
    /// Judges by SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). In doubt the message is not
    /// to blame, since that would dead-letter every message while, say, a table is missing.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let Some(code) = sqlstate(error) else { return Self::Infrastructure };
        match &*code {
            // lock not available, statement timeout, no room for another lock (or no memory)
            "55P03" | "57014" | "53200" => Self::Locked,
            // serialization failure, deadlock
            "40001" | "40P01" => Self::Collision,
            // data exception, integrity constraint violation
            code if code.starts_with("22") || code.starts_with("23") => Self::Permanent,
            _ => Self::Infrastructure,
        }
    }
}

/// The SQLSTATE of an error that the database reported.
pub(super) fn sqlstate(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                Self::Encoding(error.into())
            }
            error => Self::Database(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Encoding(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unavailable_database_is_never_the_messages_fault() {
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())] {
            assert_eq!(StoreError::from(error).kind(), FailureKind::Infrastructure);
        }
        assert_eq!(StoreError::Timeout.kind(), FailureKind::Infrastructure);
    }

    #[test]
    fn a_guard_that_did_not_hold_is_tried_again_but_not_passed_over() {
        assert_eq!(StoreError::Conflict.kind(), FailureKind::Conflict);
        assert!(!StoreError::Conflict.is_held_up());
    }
}
