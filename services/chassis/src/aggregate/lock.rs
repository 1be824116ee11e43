//! Locks on orders, until the end of the transaction, whether their rows exist already or not: a cancellation and the
//! order that it overtook must see each other.

use std::collections::BTreeSet;

use contracts::OrderId;
use sqlx::PgConnection;

use super::Triggered;
use crate::database::StoreError;

/// What becomes of a trigger whose order another transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfLocked {
    /// It waits for that transaction.
    Wait,
    /// It is skipped: whatever found it finds it again, if it is still there.
    Skip,
}

/// Locks the orders of triggers; returns those that are locked now.
pub(super) async fn lock<T>(
    connection: &mut PgConnection,
    triggers: &[Triggered<T>],
    if_locked: IfLocked,
) -> Result<Vec<OrderId>, StoreError> {
    let orders: BTreeSet<OrderId> = triggers.iter().map(|triggered| triggered.order_id).collect();
    let orders: Vec<OrderId> = orders.into_iter().collect();
    match if_locked {
        IfLocked::Wait => wait_for_locks(connection, &orders).await.map(|()| orders),
        IfLocked::Skip => try_locks(connection, &orders).await,
    }
}

/// Every transaction takes its locks in the same order, so two batches that share some orders wait for each other and
/// never deadlock.
async fn wait_for_locks(connection: &mut PgConnection, orders: &[OrderId]) -> Result<(), StoreError> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(key)
         FROM (SELECT DISTINCT hashtextextended(id::text, 0) AS key FROM UNNEST($1::uuid[]) AS id ORDER BY key) AS keys",
    )
    .bind(orders)
    .execute(connection)
    .await?;
    Ok(())
}

async fn try_locks(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<OrderId>, StoreError> {
    let locked = sqlx::query_scalar::<_, OrderId>(
        "SELECT id FROM UNNEST($1::uuid[]) AS id WHERE pg_try_advisory_xact_lock(hashtextextended(id::text, 0))",
    )
    .bind(orders)
    .fetch_all(connection)
    .await?;
    Ok(locked)
}
