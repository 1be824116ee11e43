//! Locks on orders, until the end of the transaction, whether their rows exist already or not: a cancellation and the
//! order that it overtook must see each other.

use std::collections::BTreeSet;

use contracts::OrderId;
use sqlx::PgConnection;

use super::Triggered;
use crate::database::StoreError;

/// The condition that an order can be locked, and locks it if so. For statements with a column `order_id`.
#[macro_export]
macro_rules! try_lock_order {
    () => {
        "pg_try_advisory_xact_lock(hashtextextended(order_id::text, 0))"
    };
}

/// What becomes of a trigger whose order another transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfLocked {
    /// It waits for that transaction.
    Wait,
    /// It is skipped.
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
    if if_locked == IfLocked::Skip {
        let locked = sqlx::query_scalar::<_, OrderId>(concat!(
            "SELECT order_id FROM UNNEST($1::uuid[]) AS order_id WHERE ",
            try_lock_order!()
        ));
        return Ok(locked.bind(orders).fetch_all(connection).await?);
    }
    // Every transaction takes its locks in the same order, so two batches that share some orders wait for each other and
    // never deadlock.
    sqlx::query(
        "SELECT pg_advisory_xact_lock(key)
         FROM (SELECT DISTINCT hashtextextended(order_id::text, 0) AS key FROM UNNEST($1::uuid[]) AS order_id
               ORDER BY key) AS keys",
    )
    .bind(&orders)
    .execute(connection)
    .await?;
    Ok(orders)
}
