//! The table `books`: the state of the running check; and orders as it compares them.

use std::time::Duration;

use chassis::database::{Connections, StoreError};
use contracts::books::exchange::{KeptBooks, RecordsAfter};
use contracts::books::rows::OrderRow;
use contracts::{OrderId, OwnerFilter, Timestamp};
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// How long a gateway has the check after it was heard of last.
const LEASE: Duration = Duration::from_secs(20);

/// What is kept, whichever version of the gateway wrote it.
pub(crate) type Kept = KeptBooks<Box<RawValue>>;

#[derive(FromRow)]
struct Row {
    is_holder: bool,
    pass_wanted: bool,
    state: Json<Box<RawValue>>,
    at: Timestamp,
}

impl From<Row> for Kept {
    fn from(Row { is_holder, pass_wanted, state, at }: Row) -> Self {
        Self { is_holder, pass_wanted, state: state.0, at }
    }
}

/// Those of `orders` that exist. `timeout` is how long an order waits for its payment.
pub(crate) async fn records_of(
    connections: &Connections,
    orders: &[OrderId],
    timeout: Duration,
) -> Result<Vec<OrderRow>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let rows = sqlx::query_as::<_, OrderRow>(
        "SELECT id, total, status, extract(epoch FROM now() - updated_at)::float8 AS age,
                CASE WHEN status = 'PENDING_PAYMENT' THEN
                    greatest(extract(epoch FROM (SELECT overdue_before($2::interval)) - created_at), 0)::float8
                END AS overdue
         FROM orders WHERE id = ANY($1)
         ORDER BY id",
    );
    let rows = rows.bind(orders).bind(timeout).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(rows)
}

/// The next orders by their ids. `timeout` is how long an order waits for its payment.
pub(crate) async fn records_after(
    connections: &Connections,
    RecordsAfter { after, limit }: RecordsAfter,
    timeout: Duration,
) -> Result<Vec<OrderRow>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let rows = sqlx::query_as::<_, OrderRow>(
        "SELECT id, total, status, extract(epoch FROM now() - updated_at)::float8 AS age,
                CASE WHEN status = 'PENDING_PAYMENT' THEN
                    greatest(extract(epoch FROM (SELECT overdue_before($3::interval)) - created_at), 0)::float8
                END AS overdue
         FROM orders WHERE id > $1
         ORDER BY id
         LIMIT $2",
    );
    let rows = rows.bind(after).bind(i64::from(limit)).bind(timeout).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(rows)
}

/// What is kept.
pub(crate) async fn kept(connections: &Connections) -> Result<Kept, StoreError> {
    let mut connection = connections.take().await?;
    let kept = read(&mut connection).await?;
    connection.keep();
    Ok(kept)
}

async fn read(connection: &mut PgConnection) -> Result<Kept, StoreError> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT false AS is_holder, pass_wanted, state, now() AS at FROM books WHERE singleton",
    );
    Ok(row.fetch_one(connection).await?.into())
}

/// Gives the lease to a gateway, unless another one has it. Returns what is kept.
pub(crate) async fn lease(connections: &Connections, holder: Uuid) -> Result<Kept, StoreError> {
    let mut connection = connections.take().await?;
    let taken = sqlx::query_as::<_, Row>(
        "UPDATE books SET holder = $1, held_until = now() + $2::interval
         WHERE holder = $1 OR held_until <= now()
         RETURNING true AS is_holder, pass_wanted, state, now() AS at",
    );
    let kept = match taken.bind(holder).bind(LEASE).fetch_optional(&mut *connection).await? {
        Some(taken) => taken.into(),
        None => read(&mut connection).await?,
    };
    connection.keep();
    Ok(kept)
}

/// Stores the state and prolongs the lease, if no other gateway has taken it. A pass that has begun is not wanted any more.
pub(crate) async fn store(
    connections: &Connections,
    holder: Uuid,
    state: &RawValue,
) -> Result<Option<Kept>, StoreError> {
    let mut connection = connections.take().await?;
    let stored = sqlx::query_as::<_, Row>(
        "UPDATE books SET state = $3, held_until = now() + $2::interval,
                pass_wanted = pass_wanted AND $3::jsonb -> 'pass' IS NULL
         WHERE holder = $1
         RETURNING true AS is_holder, pass_wanted, state, now() AS at",
    );
    let stored = stored.bind(holder).bind(LEASE).bind(Json(state)).fetch_optional(&mut *connection).await?;
    connection.keep();
    Ok(stored.map(Kept::from))
}

/// Notes that a full pass is wanted. Returns whether that is new and none is under way.
pub(crate) async fn want_pass(connections: &Connections) -> Result<bool, StoreError> {
    let mut connection = connections.take().await?;
    let wanted =
        sqlx::query("UPDATE books SET pass_wanted = true WHERE NOT pass_wanted AND state -> 'pass' IS NULL");
    let wanted = wanted.execute(&mut *connection).await?;
    connection.keep();
    Ok(wanted.rows_affected() > 0)
}
