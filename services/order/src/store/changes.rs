//! What became visible in `order_events` since a moment before.
//!
//! <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>

use chassis::database::StoreError;
use contracts::{OrderId, OwnerFilter};
use sqlx::{FromRow, PgConnection, PgPool};

/// Which transactions are visible, as PostgreSQL writes it (`pg_snapshot`).
pub(crate) type Snapshot = String;

/// What became visible since a snapshot.
#[derive(FromRow)]
pub(crate) struct Visible {
    /// The present one.
    pub(crate) snapshot: Snapshot,
    /// Orders with a new step.
    pub(crate) orders: Vec<OrderId>,
    /// Those of them that have settled with it.
    pub(crate) settled: Vec<OrderId>,
    /// Whose steps are now below every transaction in progress.
    /// `*` where an operator cancelled an order that was not there yet.
    pub(crate) owners: Vec<OwnerFilter>,
}

/// The present snapshot.
pub(crate) async fn snapshot(connection: &mut PgConnection) -> Result<Snapshot, StoreError> {
    let snapshot = sqlx::query_scalar::<_, Snapshot>("SELECT pg_current_snapshot()::text");
    Ok(snapshot.fetch_one(connection).await?)
}

/// What became visible since `before`: exactly, however long its transaction took, since it was in progress then or began later.
/// That is looked up by the ids of transactions, so one that is held open, in whatever database of the server, costs nothing.
///
/// Steps can be read on in the feed once they are below the oldest transaction in progress, so owners are looked for as soon as
/// that has moved.
pub(crate) async fn since(connection: &mut PgConnection, before: &Snapshot) -> Result<Visible, StoreError> {
    let visible = sqlx::query_as::<_, Visible>(
        "WITH new AS MATERIALIZED (
             SELECT order_id, status FROM order_events
             WHERE transaction = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot)))
             UNION ALL
             SELECT order_id, status FROM order_events
             WHERE transaction >= pg_snapshot_xmax($1::pg_snapshot)
         )
         SELECT pg_current_snapshot()::text AS snapshot,
                ARRAY(SELECT DISTINCT order_id FROM new) AS orders,
                ARRAY(SELECT DISTINCT order_id FROM new WHERE status IN ('PAID', 'CANCELLED', 'FAILED')) AS settled,
                ARRAY(SELECT DISTINCT owner FROM order_events
                      WHERE transaction >= pg_snapshot_xmin($1::pg_snapshot)
                        AND transaction < pg_snapshot_xmin(pg_current_snapshot())) AS owners",
    );
    Ok(visible.bind(before).fetch_one(connection).await?)
}

/// Gives some of the events the id of this transaction whose own this server has not reached yet, as after a dump was
/// restored; returns how many.
pub(crate) async fn adopt_restored(pool: &PgPool) -> Result<i64, StoreError> {
    let adopted = sqlx::query_scalar::<_, i64>("SELECT adopt_restored_events()");
    Ok(adopted.fetch_one(pool).await?)
}
