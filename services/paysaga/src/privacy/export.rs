//! Everything that is kept about a customer.

use contracts::order::{Order, TimelineEntry};
use contracts::payment::Payment;
use contracts::topology::Service;
use contracts::{OrderId, Timestamp, UserId, Word};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Databases, PrivacyError};

/// Everything that is kept about a customer, in the words of the HTTP API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    user_id: UserId,
    exported_at: Timestamp,
    orders: Vec<ExportedOrder>,
    failed_messages: Vec<FailedMessage>,
    stored_answers: Vec<StoredAnswer>,
}

/// An order with what happened to it.
#[derive(Debug, Serialize)]
struct ExportedOrder {
    #[serde(flatten)]
    order: Order<Word, Word>,
    events: Vec<TimelineEntry<Word, Word>>,
    payment: Option<Payment<Word>>,
}

/// A message that names the customer and could not be handled.
#[derive(Debug, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedMessage {
    id: Uuid,
    queue: String,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_body: Option<String>,
}

/// An answer that names the customer and is repeated to duplicate requests.
#[derive(Debug, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredAnswer {
    order_id: OrderId,
    body: String,
}

/// Reads everything that is kept about a customer.
pub async fn export(databases: &mut Databases, user_id: UserId) -> Result<Export, PrivacyError> {
    let (of_order, of_payment) = (PrivacyError::of(Service::Order), PrivacyError::of(Service::Payment));
    let Databases { orders: order_database, payments: payment_database } = databases;
    let placed = sqlx::query_as::<_, Order<Word, Word>>(
        "SELECT id, user_id, total, status, cancel_reason, created_at, updated_at, owner
         FROM orders WHERE user_id = $1 ORDER BY created_at, id",
    );
    let placed = placed.bind(user_id).fetch_all(&mut *order_database).await.map_err(of_order)?;
    let mut orders = Vec::with_capacity(placed.len());
    for order in placed {
        let events = sqlx::query_as::<_, TimelineEntry<Word, Word>>(
            "SELECT event_id, event_type, occurred_at, recorded_at, status, payload
             FROM order_events WHERE order_id = $1 ORDER BY position",
        );
        let events = events.bind(order.id).fetch_all(&mut *order_database).await.map_err(of_order)?;
        let payment = payment_of(payment_database, order.id).await.map_err(of_payment)?;
        orders.push(ExportedOrder { order, events, payment });
    }
    let mut failed_messages = failed_messages(order_database, user_id).await.map_err(of_order)?;
    failed_messages.extend(self::failed_messages(payment_database, user_id).await.map_err(of_payment)?);
    let stored_answers = stored_answers(order_database, user_id).await.map_err(of_order)?;
    Ok(Export { user_id, exported_at: Timestamp::now(), orders, failed_messages, stored_answers })
}

async fn payment_of(
    connection: &mut sqlx::PgConnection,
    order: OrderId,
) -> Result<Option<Payment<Word>>, sqlx::Error> {
    let payment = sqlx::query_as::<_, Payment<Word>>(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner
         FROM payments WHERE order_id = $1",
    );
    payment.bind(order).fetch_optional(connection).await
}

async fn failed_messages(
    connection: &mut sqlx::PgConnection,
    user_id: UserId,
) -> Result<Vec<FailedMessage>, sqlx::Error> {
    let messages = sqlx::query_as::<_, FailedMessage>(
        "SELECT id, queue, encode(coalesce(original_body, body), 'escape') AS body,
                CASE WHEN original_body IS NOT NULL THEN encode(body, 'escape') END AS edited_body
         FROM failed_messages
         WHERE position(convert_to($1, 'UTF8') IN body) > 0 OR position(convert_to($1, 'UTF8') IN original_body) > 0
         ORDER BY first_seen, id",
    );
    messages.bind(user_id.to_string()).fetch_all(connection).await
}

async fn stored_answers(
    connection: &mut sqlx::PgConnection,
    user_id: UserId,
) -> Result<Vec<StoredAnswer>, sqlx::Error> {
    let answers = sqlx::query_as::<_, StoredAnswer>(
        "SELECT order_id, answer_body AS body
         FROM idempotency_keys WHERE position($1 IN answer_body) > 0 ORDER BY created_at, order_id",
    );
    answers.bind(user_id.to_string()).fetch_all(connection).await
}
