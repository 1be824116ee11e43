//! The table `order_events` as one feed: the steps of all orders, in the order of their transactions.
//!
//! Only what is below the oldest transaction in progress is read: nothing can be committed there any more, so what comes behind
//! a cursor is complete. Steps of one order are in their order, since its transactions exclude each other before they write.

use chassis::database::{Connections, StoreError};
use contracts::books::exchange::ChangedOrders;
use contracts::feed::{EventCursor, FeedEntry, FeedMeta, FeedPage, FeedRequest, InvalidCursor, ReadFrom};
use contracts::order::TimelineEntry;
use contracts::page::cut;
use contracts::{EventId, OrderId, OwnerFilter, Timestamp, Word};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};

/// Steps that a read looks at for those of some types. Where few are, it takes several reads to find them.
const MOST_SCANNED: u32 = 500;

/// A page, whichever version wrote its steps.
pub(crate) type ClientPage = FeedPage<FeedEntry<Word, Word>>;

/// What is behind a cursor.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A page, and whether there is more.
    Page(ClientPage, bool),
    /// The database is at an earlier moment than the cursor: it was restored.
    Ahead,
}

#[derive(FromRow)]
struct Row {
    transaction: String,
    position: i64,
    order_id: OrderId,
    event_id: EventId,
    event_type: Word,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    status: Option<Word>,
    payload: Value,
}

impl TryFrom<Row> for FeedEntry<Word, Word> {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { order_id, event_id, event_type, occurred_at, recorded_at, status, payload, .. } = row;
        let step = TimelineEntry { event_id, event_type, occurred_at, recorded_at, status, payload };
        Ok(Self { cursor: cursor(&row.transaction, row.position)?, order_id, step })
    }
}

/// The driver has no type for ids of transactions.
fn cursor(transaction: &str, position: i64) -> Result<EventCursor, StoreError> {
    let transaction = transaction.parse().map_err(|_| StoreError::Encoding(InvalidCursor.into()))?;
    Ok(EventCursor { transaction, position })
}

/// A page of the steps within the limit.
pub(crate) async fn page(
    connections: &Connections,
    within: &OwnerFilter,
    wanted: &FeedRequest,
) -> Result<Found, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let found = match wanted.from {
        ReadFrom::Behind(after) => behind(&mut connection, within, after, wanted).await?,
        ReadFrom::Now => {
            let cursor = last(&mut connection, within).await?.unwrap_or(EventCursor::BEGINNING);
            Found::Page(FeedPage { data: Vec::new(), meta: FeedMeta { limit: wanted.limit, cursor } }, false)
        }
    };
    connection.keep();
    Ok(found)
}

async fn behind(
    connection: &mut PgConnection,
    within: &OwnerFilter,
    after: EventCursor,
    FeedRequest { limit, types, .. }: &FeedRequest,
) -> Result<Found, StoreError> {
    let limit = *limit;
    let scanned = if types.is_empty() { limit } else { MOST_SCANNED };
    let rows = read(connection, within, after, scanned + 1).await?;
    if rows.is_empty() && is_ahead(connection, after).await? {
        return Ok(Found::Ahead);
    }
    let (rows, more) = cut(rows, scanned);
    let steps: Vec<FeedEntry<Word, Word>> =
        rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let end = steps.last().map_or(after, |last| last.cursor);
    let is_wanted = |step: &FeedEntry<Word, Word>| {
        types.is_empty() || types.iter().any(|t| <&str>::from(t) == step.step.event_type)
    };
    let (data, is_cut) = cut(steps.into_iter().filter(is_wanted).collect(), limit);
    let cursor = data.last().filter(|_| is_cut).map_or(end, |last| last.cursor);
    Ok(Found::Page(FeedPage { data, meta: FeedMeta { limit, cursor } }, more || is_cut))
}

async fn read(
    connection: &mut PgConnection,
    within: &OwnerFilter,
    after: EventCursor,
    limit: u32,
) -> Result<Vec<Row>, StoreError> {
    // Two statements, since each has its index.
    let rows = match within {
        OwnerFilter::Any => sqlx::query_as::<_, Row>(
            "SELECT transaction::text, position, order_id, event_id, event_type, occurred_at, recorded_at, status, payload
             FROM order_events
             WHERE (transaction, position) > ($1::text::xid8, $2)
               AND transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY order_events.transaction, position
             LIMIT $3",
        )
        .bind(after.transaction.to_string())
        .bind(after.position)
        .bind(i64::from(limit)),
        OwnerFilter::Only(owner) => sqlx::query_as::<_, Row>(
            "SELECT transaction::text, position, order_id, event_id, event_type, occurred_at, recorded_at, status, payload
             FROM order_events
             WHERE owner = $4 AND (transaction, position) > ($1::text::xid8, $2)
               AND transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY order_events.transaction, position
             LIMIT $3",
        )
        .bind(after.transaction.to_string())
        .bind(after.position)
        .bind(i64::from(limit))
        .bind(owner),
    };
    Ok(rows.fetch_all(connection).await?)
}

/// The orders of some steps.
#[derive(FromRow)]
struct OrdersOfSteps {
    orders: Vec<OrderId>,
    steps: i64,
    /// The last step's; none if there is no step.
    transaction: Option<String>,
    position: Option<i64>,
    /// Now; or when the first step was recorded that was not read, because it is behind the page or behind a transaction in progress.
    read_at: Timestamp,
}

/// Which orders the steps behind a cursor are of, up to so many steps; none of them without a cursor, only where the steps end.
/// `None` if the database is at an earlier moment than the cursor: it was restored.
pub(crate) async fn changed_orders(
    connections: &Connections,
    after: Option<EventCursor>,
    limit: u32,
) -> Result<Option<ChangedOrders>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let after = match after {
        Some(after) => after,
        None => last(&mut connection, &OwnerFilter::Any).await?.unwrap_or(EventCursor::BEGINNING),
    };
    // `coalesce` beside the columns would be evaluated after the rows' owners, and so for every row from the first on.
    let found = sqlx::query_as::<_, OrdersOfSteps>(
        "WITH page AS (
             SELECT transaction, position, order_id FROM order_events
             WHERE (transaction, position) > ($1::text::xid8, $2)
               AND transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY transaction, position
             LIMIT $3
         ), last_step AS (
             SELECT transaction, position FROM page ORDER BY transaction DESC, position DESC LIMIT 1
         ), read_until AS (
             SELECT coalesce((SELECT transaction FROM last_step), $1::text::xid8) AS transaction,
                    coalesce((SELECT position FROM last_step), $2) AS position
         ), next_step AS (
             SELECT recorded_at FROM order_events
             WHERE (transaction, position) > ((SELECT transaction FROM read_until), (SELECT position FROM read_until))
             ORDER BY transaction, position
             LIMIT 1
         )
         SELECT ARRAY(SELECT DISTINCT order_id FROM page) AS orders, (SELECT count(*) FROM page) AS steps,
                (SELECT transaction::text FROM last_step) AS transaction,
                (SELECT position FROM last_step) AS position,
                least(now(), (SELECT recorded_at FROM next_step)) AS read_at",
    );
    let found = found.bind(after.transaction.to_string()).bind(after.position).bind(i64::from(limit));
    let OrdersOfSteps { orders, steps, transaction, position, read_at } =
        found.fetch_one(&mut *connection).await?;
    let cursor = match transaction.zip(position) {
        Some((transaction, position)) => cursor(&transaction, position)?,
        None if is_ahead(&mut connection, after).await? => return Ok(None),
        None => after,
    };
    connection.keep();
    Ok(Some(ChangedOrders { orders, cursor, more: steps == i64::from(limit), read_at }))
}

/// The last step that can be read.
async fn last(
    connection: &mut PgConnection,
    within: &OwnerFilter,
) -> Result<Option<EventCursor>, StoreError> {
    let last = match within {
        OwnerFilter::Any => sqlx::query_as::<_, (String, i64)>(
            "SELECT transaction::text, position FROM order_events
             WHERE transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY order_events.transaction DESC, position DESC
             LIMIT 1",
        ),
        OwnerFilter::Only(owner) => sqlx::query_as::<_, (String, i64)>(
            "SELECT transaction::text, position FROM order_events
             WHERE owner = $1 AND transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY order_events.transaction DESC, position DESC
             LIMIT 1",
        )
        .bind(owner),
    };
    let last = last.fetch_optional(connection).await?;
    last.map(|(transaction, position)| cursor(&transaction, position)).transpose()
}

/// Whether a cursor is of a transaction that this database has not begun yet.
async fn is_ahead(connection: &mut PgConnection, cursor: EventCursor) -> Result<bool, StoreError> {
    let is_ahead =
        sqlx::query_scalar::<_, bool>("SELECT $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())");
    Ok(is_ahead.bind(cursor.transaction.to_string()).fetch_one(connection).await?)
}
