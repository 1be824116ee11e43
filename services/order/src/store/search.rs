//! Which orders an id of any kind belongs to. Each statement reads one range of one index.

use chassis::database::StoreError;
use contracts::{EventId, OrderId, Owner};
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection};

/// An order, and when it came.
#[derive(Clone, Copy, Debug, FromRow)]
pub(crate) struct Found {
    pub(crate) order_id: OrderId,
    pub(crate) created_at: OffsetDateTime,
}

/// Most orders that a search gives.
pub(crate) const MOST: usize = 20;

/// Those of `orders` that exist.
pub(crate) async fn existing(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<Found>, StoreError> {
    let found =
        sqlx::query_as::<_, Found>("SELECT id AS order_id, created_at FROM orders WHERE id = ANY($1)");
    Ok(found.bind(orders).fetch_all(connection).await?)
}

/// The order of this id, if it exists or was cancelled before it came.
pub(crate) async fn order(connection: &mut PgConnection, id: OrderId) -> Result<Vec<Found>, StoreError> {
    let found = sqlx::query_as::<_, Found>(
        "SELECT id AS order_id, created_at FROM orders WHERE id = $1
         UNION ALL
         SELECT order_id, min(requested_at) FROM early_cancellations WHERE order_id = $1 GROUP BY order_id
         LIMIT 1",
    );
    Ok(found.bind(id).fetch_all(connection).await?)
}

/// The orders whose timeline has an event.
pub(crate) async fn of_event(
    connection: &mut PgConnection,
    event: EventId,
) -> Result<Vec<Found>, StoreError> {
    let found = sqlx::query_as::<_, Found>(
        "SELECT order_id, recorded_at AS created_at FROM order_events WHERE event_id = $1 LIMIT $2",
    );
    Ok(found.bind(event).bind(limit()).fetch_all(connection).await?)
}

/// The latest orders that were placed with a correlation id.
pub(crate) async fn of_correlation(
    connection: &mut PgConnection,
    correlation_id: &str,
) -> Result<Vec<Found>, StoreError> {
    let found = sqlx::query_as::<_, Found>("SELECT order_id, created_at FROM orders_of_correlation($1, $2)");
    Ok(found.bind(correlation_id).bind(limit()).fetch_all(connection).await?)
}

/// The latest orders that were placed in a trace.
pub(crate) async fn of_trace(
    connection: &mut PgConnection,
    trace_id: &str,
) -> Result<Vec<Found>, StoreError> {
    let found = sqlx::query_as::<_, Found>("SELECT order_id, created_at FROM orders_of_trace($1, $2)");
    Ok(found.bind(trace_id).bind(limit()).fetch_all(connection).await?)
}

/// The clients that have orders.
pub(crate) async fn clients(connection: &mut PgConnection) -> Result<Vec<Owner>, StoreError> {
    let clients = sqlx::query_scalar::<_, Owner>("SELECT DISTINCT owner FROM order_counts");
    Ok(clients.fetch_all(connection).await?)
}

fn limit() -> i64 {
    i64::try_from(MOST).unwrap_or(i64::MAX)
}
