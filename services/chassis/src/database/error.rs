//! What can go wrong between a store and its database, and what to do about it.

use sqlx::postgres::PgQueryResult;
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
}

/// Whose fault an error is, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The database is unavailable, full, not set up, or its password changed: wait until it has been repaired.
    Infrastructure,
    /// This transaction met another one: try it again.
    Transient,
    /// What was written breaks a rule of the schema: only another input helps.
    Permanent,
}

impl StoreError {
    /// Holds a guarded statement to its promise: every row was still in the state that the change starts from.
    pub fn expect_rows(result: &PgQueryResult, expected: usize) -> Result<(), Self> {
        if result.rows_affected() == expected as u64 { Ok(()) } else { Err(Self::Conflict) }
    }

    /// Whose fault it is.
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Conflict => FailureKind::Transient,
            Self::Timeout => FailureKind::Infrastructure,
            Self::Encoding(_) => FailureKind::Permanent,
            Self::Database(error) => FailureKind::of(error),
        }
    }
}

impl FailureKind {
    /// Judges by SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). In doubt the message is not
    /// to blame, since that would dead-letter every message while, say, a table is missing.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
            return Self::Infrastructure;
        };
        match &*code {
            // serialization failure, deadlock, lock not available, statement timeout
            "40001" | "40P01" | "55P03" | "57014" => Self::Transient,
            // data exception, integrity constraint violation
            code if code.starts_with("22") || code.starts_with("23") => Self::Permanent,
            _ => Self::Infrastructure,
        }
    }
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
    fn a_guard_that_did_not_hold_is_tried_again() {
        assert_eq!(StoreError::Conflict.kind(), FailureKind::Transient);
    }
}
