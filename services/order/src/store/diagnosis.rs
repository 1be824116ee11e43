//! What one order waits for.

use std::time::Duration;

use chassis::aggregate::Cause;
use chassis::database::{Connections, StoreError};
use contracts::{OrderId, OwnerFilter, Timestamp, Word, order};
use sqlx::{FromRow, PgConnection};

/// An order, and what it arises from.
#[derive(FromRow)]
pub(crate) struct Placed {
    #[sqlx(flatten)]
    pub(crate) order: order::Order<Word, Word>,
    #[sqlx(flatten)]
    pub(crate) cause: Cause,
}

/// What is known of an order.
pub(crate) struct Known {
    pub(crate) placed: Option<Placed>,
    /// None where it does not wait for its payment.
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) is_cancelled_early: bool,
}

/// What is known of an order. `saga_timeout` is how long it may wait for its payment, `gap` how long nothing may be heard before that
/// counts as an absence.
pub(crate) async fn known(
    connections: &Connections,
    id: OrderId,
    saga_timeout: Duration,
    gap: Duration,
) -> Result<Known, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let known = Known {
        placed: placed(&mut connection, id).await?,
        deadline: deadline(&mut connection, id, saga_timeout, gap).await?,
        is_cancelled_early: is_cancelled_early(&mut connection, id).await?,
    };
    connection.keep();
    Ok(known)
}

async fn placed(connection: &mut PgConnection, id: OrderId) -> Result<Option<Placed>, StoreError> {
    let placed = sqlx::query_as::<_, Placed>(
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner, correlation_id, trace_context
         FROM orders WHERE id = $1",
    );
    Ok(placed.bind(id).fetch_optional(connection).await?)
}

/// Whether a cancellation came before the order, of a client who may cancel it.
async fn is_cancelled_early(connection: &mut PgConnection, id: OrderId) -> Result<bool, StoreError> {
    let early = sqlx::query_scalar::<_, bool>(
        "SELECT EXISTS (SELECT FROM early_cancellations LEFT JOIN orders ON orders.id = order_id
                        WHERE order_id = $1 AND early_cancellations.owner IN ('*', coalesce(orders.owner, early_cancellations.owner)))",
    );
    Ok(early.bind(id).fetch_one(connection).await?)
}

/// When a pending order is cancelled unless its payment has a result by then: as soon as results could be heard for `saga_timeout` since
/// it was placed, the inverse of the function `overdue_before`. What is still to pass of that is assumed to be heard without a break,
/// from the end of what was heard, or from now on if nothing is heard at present.
async fn deadline(
    connection: &mut PgConnection,
    id: OrderId,
    saga_timeout: Duration,
    gap: Duration,
) -> Result<Option<Timestamp>, StoreError> {
    let deadline = sqlx::query_scalar::<_, Timestamp>(
        "WITH heard AS (
             SELECT orders.created_at, heard_until,
                    sum(heard_until - greatest(started_at, orders.created_at)) OVER (ORDER BY started_at) AS heard
             FROM orders JOIN listening ON heard_until > orders.created_at
             WHERE orders.id = $1 AND status = 'PENDING_PAYMENT'
         ), passed AS (
             SELECT heard_until - (heard - $2::interval) AS deadline FROM heard
             WHERE heard >= $2::interval ORDER BY heard_until LIMIT 1
         ), ahead AS (
             SELECT greatest(created_at, (SELECT CASE WHEN max(heard_until) >= now() - $3::interval THEN max(heard_until)
                                                      ELSE now() END
                                          FROM listening))
                    + ($2::interval - coalesce((SELECT max(heard) FROM heard), interval '0')) AS deadline
             FROM orders WHERE id = $1 AND status = 'PENDING_PAYMENT'
         )
         SELECT coalesce((SELECT deadline FROM passed), deadline) AS deadline FROM ahead",
    );
    Ok(deadline.bind(id).bind(saga_timeout).bind(gap).fetch_optional(connection).await?)
}
