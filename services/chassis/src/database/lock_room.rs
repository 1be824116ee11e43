//! Whether PostgreSQL has room for the locks of full batches.

use sqlx::{FromRow, PgPool};
use thiserror::Error;

use super::{IfHeldUp, RetryError, StoreError, retry};
use crate::aggregate::MAX_BATCH;
use crate::program::StartError;
use crate::tasks::TaskContext;

/// How large PostgreSQL's table of locks is: a lock on an order takes an entry of it until the end of its transaction.
/// <https://www.postgresql.org/docs/current/runtime-config-locks.html>
#[derive(FromRow)]
struct LockRoom {
    max_locks_per_transaction: i64,
    /// Connections and prepared transactions.
    transactions: i64,
}

/// PostgreSQL is too small for this service.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "PostgreSQL has room for {room} locks (max_locks_per_transaction × (max_connections + max_prepared_transactions)), \
     and this service may need {needed} at once: set max_locks_per_transaction, which is {setting}, to {sufficient} or more"
)]
pub(crate) struct NoRoom {
    room: i64,
    needed: i64,
    setting: i64,
    sufficient: i64,
}

impl LockRoom {
    /// Whether a full batch of each of so many sources fits.
    fn suffices_for(&self, sources: usize) -> Result<(), NoRoom> {
        let Self { max_locks_per_transaction: setting, transactions } = *self;
        let needed = i64::try_from(sources * MAX_BATCH).unwrap_or(i64::MAX);
        let room = setting * transactions;
        if needed <= room {
            return Ok(());
        }
        Err(NoRoom { room, needed, setting, sufficient: needed / transactions + 1 })
    }
}

/// Refuses to start where a full batch from each of so many sources of triggers would find no room for its locks. Waits for
/// the database as long as it takes, or until the service is told to stop.
///
/// The room is shared by all that use the server, other replicas included. A batch that finds none left is applied one
/// by one.
pub(crate) async fn check_lock_room(
    pool: &PgPool,
    sources: usize,
    task: &TaskContext,
) -> Result<(), StartError> {
    match retry(task, IfHeldUp::Persist, || read(pool)).await {
        Ok(room) => room.suffices_for(sources).map_err(|error| StartError::Config(error.to_string())),
        Err(RetryError::Stopping) => Ok(()),
        Err(RetryError::Failed(error)) => Err(StartError::Config(error.to_string())),
    }
}

async fn read(pool: &PgPool) -> Result<LockRoom, StoreError> {
    let room = sqlx::query_as::<_, LockRoom>(
        "SELECT current_setting('max_locks_per_transaction')::bigint AS max_locks_per_transaction,
                current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint
                    AS transactions",
    );
    Ok(room.fetch_one(pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresqls_defaults_have_room_for_several_replicas() {
        let room = LockRoom { max_locks_per_transaction: 64, transactions: 100 };
        assert_eq!(room.suffices_for(7), Ok(()));
        assert_eq!(room.suffices_for(4 * 7), Ok(()));
    }

    #[test]
    fn the_refusal_names_a_setting_that_suffices() {
        let room = LockRoom { max_locks_per_transaction: 10, transactions: 40 };
        let error = room.suffices_for(6).unwrap_err();
        assert!(
            error.to_string().contains("max_locks_per_transaction, which is 10, to 31 or more"),
            "{error}"
        );
        let room = LockRoom { max_locks_per_transaction: 31, ..room };
        assert_eq!(room.suffices_for(6), Ok(()));
    }
}
