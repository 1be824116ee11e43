//! The table `order_events`: the saga of each order, event by event.

use chassis::aggregate::HistoryEntry;
use chassis::database::StoreError;
use contracts::order::{Timeline, TimelineEntry};
use contracts::page::{CursorRequest, cut};
use contracts::{EventId, EventType, OrderId, OrderStatus, Timestamp, Word};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::domain::Order;

/// A step as clients see it, whichever version wrote it.
type ClientEntry = TimelineEntry<Word, Word>;

#[derive(Serialize)]
struct NewRow {
    order_id: OrderId,
    event_id: EventId,
    event_type: EventType,
    occurred_at: Timestamp,
    status: Option<OrderStatus>,
    payload: Box<RawValue>,
}

/// Adds to the orders' timelines. An event that is there already stays as it was first seen.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    history: &[HistoryEntry<'_, Order>],
) -> Result<(), StoreError> {
    let row = |entry: &HistoryEntry<'_, Order>| {
        Ok(NewRow {
            order_id: entry.order_id,
            event_id: entry.envelope.event_id,
            event_type: entry.envelope.event.event_type(),
            occurred_at: entry.envelope.occurred_at,
            status: entry.after.known().map(|order| order.status),
            payload: entry.payload()?,
        })
    };
    let rows: Vec<NewRow> = history.iter().map(row).collect::<serde_json::Result<_>>()?;
    sqlx::query(
        "INSERT INTO order_events (order_id, event_id, event_type, occurred_at, status, payload)
         SELECT order_id, event_id, event_type, occurred_at, status, payload
         FROM jsonb_to_recordset($1) AS new (order_id uuid, event_id uuid, event_type text, occurred_at timestamptz,
                                             status text, payload jsonb)
         ON CONFLICT (order_id, event_id) DO NOTHING",
    )
    .bind(Json(rows))
    .execute(connection)
    .await?;
    Ok(())
}

/// A page of an order's timeline, oldest event first, and whether there are more; `None` if the order is not known. The
/// timeline of an order that settled long ago may have been deleted.
pub(crate) async fn page(
    pool: &PgPool,
    order_id: OrderId,
    page: CursorRequest<EventId>,
) -> Result<Option<(Timeline<ClientEntry>, bool)>, StoreError> {
    let events = sqlx::query_as::<_, TimelineEntry<Word, Word>>(
        "SELECT event_id, event_type, occurred_at, recorded_at, status, payload
         FROM order_events
         WHERE order_id = $1
           AND position > coalesce((SELECT position FROM order_events WHERE order_id = $1 AND event_id = $2), 0)
         ORDER BY position
         LIMIT $3",
    )
    .bind(order_id)
    .bind(page.after)
    .bind(i64::from(page.limit) + 1);
    let events = events.fetch_all(pool).await?;
    if events.is_empty() {
        let exists = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM orders WHERE id = $1) OR EXISTS (SELECT FROM order_events WHERE order_id = $1)",
        );
        if !exists.bind(order_id).fetch_one(pool).await? {
            return Ok(None);
        }
    }
    let (events, more) = cut(events, page.limit);
    Ok(Some((Timeline { order_id, events }, more)))
}
