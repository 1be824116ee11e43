//! The table `order_events`: the saga of each order, event by event.

use chassis::aggregate::{HistoryEntry, State};
use chassis::database::{Connections, StoreError};
use contracts::order::{Timeline, TimelineEntry};
use contracts::page::{CursorRequest, cut};
use contracts::{EventId, EventType, OrderId, OrderStatus, OwnerFilter, Timestamp, Word};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::Order;

/// A step as clients see it, whichever version wrote it.
type ClientEntry = TimelineEntry<Word, Word>;

#[derive(Serialize)]
struct NewRow<'a> {
    order_id: OrderId,
    /// Whose the order is; who cancelled it, if it is not known yet.
    owner: &'a str,
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
    let rows: serde_json::Result<Vec<NewRow<'_>>> = history.iter().map(NewRow::of).collect();
    sqlx::query(
        "INSERT INTO order_events (order_id, owner, event_id, event_type, occurred_at, status, payload)
         SELECT order_id, owner, event_id, event_type, occurred_at, status, payload
         FROM jsonb_to_recordset($1) AS new (order_id uuid, owner text, event_id uuid, event_type text,
                                             occurred_at timestamptz, status text, payload jsonb)
         ON CONFLICT (order_id, event_id) DO NOTHING",
    )
    .bind(Json(rows?))
    .execute(connection)
    .await?;
    Ok(())
}

impl<'a> NewRow<'a> {
    fn of(entry: &'a HistoryEntry<'_, Order>) -> serde_json::Result<Self> {
        let owner = match &entry.after {
            State::Known(order) => order.owner.as_str(),
            // The first of them, as no other is history.
            State::CancelledEarly(by) => by.first().map_or("", OwnerFilter::as_str),
            State::Unknown => "",
        };
        Ok(Self {
            order_id: entry.order_id,
            owner,
            event_id: entry.envelope.event_id,
            event_type: entry.envelope.event.event_type(),
            occurred_at: entry.envelope.occurred_at,
            status: entry.after.known().map(|order| order.status),
            payload: entry.payload()?,
        })
    }
}

/// A page of an order's timeline, oldest event first, and whether there are more; `None` if the order is not known within the
/// limit: for a client, who may have cancelled it, an order that does not exist and one of another are the same. The timeline
/// of an order that settled long ago may have been deleted.
pub(crate) async fn page(
    connections: &Connections,
    within: &OwnerFilter,
    order_id: OrderId,
    page: CursorRequest<EventId>,
) -> Result<Option<(Timeline<ClientEntry>, bool)>, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let mut events = read(&mut connection, within, order_id, page).await?;
    if events.is_empty() {
        let exists = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM orders WHERE id = $1 AND $2 IN ('*', owner))
                 OR $2 = '*' AND EXISTS (SELECT FROM order_events WHERE order_id = $1)",
        );
        if !exists.bind(order_id).bind(within).fetch_one(&mut *connection).await? {
            return Ok(None);
        }
        if page.after.is_none() {
            // It may have been placed between the two statements; a timeline that is empty has been deleted.
            events = read(&mut connection, within, order_id, page).await?;
        }
    }
    connection.keep();
    let (events, more) = cut(events, page.limit);
    Ok(Some((Timeline { order_id, events }, more)))
}

async fn read(
    connection: &mut PgConnection,
    within: &OwnerFilter,
    order_id: OrderId,
    page: CursorRequest<EventId>,
) -> Result<Vec<ClientEntry>, StoreError> {
    let events = sqlx::query_as::<_, TimelineEntry<Word, Word>>(
        "SELECT event_id, event_type, occurred_at, recorded_at, status, payload
         FROM order_events
         WHERE order_id = $1 AND $4 IN ('*', owner)
           AND ($4 = '*' OR EXISTS (SELECT FROM orders WHERE id = $1 AND owner = $4))
           AND position > coalesce((SELECT position FROM order_events WHERE order_id = $1 AND event_id = $2), 0)
         ORDER BY position
         LIMIT $3",
    )
    .bind(order_id)
    .bind(page.after)
    .bind(i64::from(page.limit) + 1)
    .bind(within);
    Ok(events.fetch_all(connection).await?)
}
