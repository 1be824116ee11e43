//! The table `failed_messages`: as messages fail and are handled again, as operators see them, and as they decide.

use std::collections::HashMap;

use contracts::failed_message::{
    AuditAction, FailedMessage, FailedMessageDetails, FailedMessageFilter, FailedMessageStatus,
};
use contracts::page::{Page, PageMeta, PageRequest};
use contracts::{OrderId, Timestamp, Word};
use serde_json::Value;
use sqlx::postgres::PgArguments;
use sqlx::types::Json;
use sqlx::{Arguments, FromRow, PgPool, Postgres, query::QueryScalar};
use uuid::Uuid;

use super::audit::{self, Action, SERVICE};
use crate::consumer::rejections;
use crate::database::StoreError;
use crate::failed_messages::dead_letter::DeadLetter;
use crate::telemetry::TraceContext;
use crate::text::storable;

/// Stores a dead letter; one that failed before is the same row, and waits for a decision again.
pub(crate) async fn insert(pool: &PgPool, letter: &DeadLetter<'_>) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let noted = rejections::take(&mut transaction, letter.id).await?;
    // The same message rejected several times at once has noted its reason only once.
    let reason = noted.as_ref().or(letter.death.as_ref());
    let inserted = sqlx::query_scalar::<_, String>(
        "INSERT INTO failed_messages AS known
             (id, queue, exchange, routing_key, message_id, event_type, user_id, correlation_id, trace_context, headers,
              body, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12, 'rejected'))
         ON CONFLICT (id) DO UPDATE
         SET status = 'FAILED', replay_at = NULL, attempts = known.attempts + 1,
             reason = coalesce($12, known.reason), last_seen = now()
         RETURNING reason",
    );
    let reason = with_letter(inserted, letter).bind(reason).fetch_one(&mut *transaction).await?;
    let failed = Action { action: AuditAction::Failed, actor: SERVICE, note: Some(&reason) };
    audit::insert(&mut transaction, &[letter.id], failed).await?;
    transaction.commit().await?;
    Ok(())
}

/// Stores a message to be handled again in a minute, without anybody having asked for it.
pub(crate) async fn hold(pool: &PgPool, letter: &DeadLetter<'_>) -> Result<(), StoreError> {
    const REASON: &str = "a newer version wrote the row of its order";
    let mut transaction = pool.begin().await?;
    let held = sqlx::query_scalar::<_, String>(
        "INSERT INTO failed_messages
             (id, queue, exchange, routing_key, message_id, event_type, user_id, correlation_id, trace_context, headers,
              body, reason, attempts, status, replay_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 'REPLAYING', now() + interval '1 minute')
         ON CONFLICT (id) DO UPDATE
         SET status = 'REPLAYING', replay_at = excluded.replay_at, reason = excluded.reason, last_seen = now()
         RETURNING reason",
    );
    with_letter(held, letter).bind(REASON).fetch_one(&mut *transaction).await?;
    let held = Action { action: AuditAction::ReplayRequested, actor: SERVICE, note: Some(REASON) };
    audit::insert(&mut transaction, &[letter.id], held).await?;
    transaction.commit().await?;
    Ok(())
}

/// Binds what is stored of a letter to `$1` and those after it; the reason is to follow.
fn with_letter<'q>(
    statement: QueryScalar<'q, Postgres, String, PgArguments>,
    letter: &'q DeadLetter<'q>,
) -> QueryScalar<'q, Postgres, String, PgArguments> {
    statement
        .bind(letter.id)
        .bind(letter.queue.name())
        .bind(&letter.exchange)
        .bind(&letter.routing_key)
        .bind(&letter.message_id)
        .bind(&letter.event_type)
        .bind(&letter.user_id)
        .bind(&letter.correlation_id)
        .bind(Json(&letter.trace))
        .bind(&letter.headers)
        .bind(letter.body)
}

/// A message that is to be handled again now, and is this replica's to handle for a minute.
#[derive(FromRow)]
pub(crate) struct Replay {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) user_id: Option<String>,
    pub(crate) correlation_id: Option<String>,
    #[sqlx(json)]
    pub(crate) trace_context: TraceContext,
    pub(crate) body: Vec<u8>,
    /// When another replica may take it, should this one die.
    leased_until: Timestamp,
}

/// Takes the next message whose turn has come, if there is one.
pub(crate) async fn take_replay(pool: &PgPool) -> Result<Option<Replay>, StoreError> {
    let replay = sqlx::query_as::<_, Replay>(
        "UPDATE failed_messages
         SET replay_at = date_trunc('milliseconds', now()) + interval '1 minute'
         WHERE id = (SELECT id FROM failed_messages WHERE replay_at <= now()
                     ORDER BY replay_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, queue, exchange, routing_key, user_id, correlation_id, trace_context, body,
                   replay_at AS leased_until",
    );
    Ok(replay.fetch_optional(pool).await?)
}

/// Marks a message that was handled again, if it is still this replica's.
pub(crate) async fn mark_replayed(pool: &PgPool, replay: &Replay) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let marked = sqlx::query(
        "UPDATE failed_messages SET status = 'REPLAYED', replay_at = NULL WHERE id = $1 AND replay_at = $2",
    )
    .bind(replay.id)
    .bind(replay.leased_until)
    .execute(&mut *transaction)
    .await?;
    if marked.rows_affected() > 0 {
        let replayed = Action { action: AuditAction::Replayed, actor: SERVICE, note: None };
        audit::insert(&mut transaction, &[replay.id], replayed).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Marks a message that failed again when it was handled again, if it is still this replica's.
pub(crate) async fn mark_failed(pool: &PgPool, replay: &Replay, reason: &str) -> Result<(), StoreError> {
    let reason = storable(reason);
    let mut transaction = pool.begin().await?;
    let marked = sqlx::query(
        "UPDATE failed_messages
         SET status = 'FAILED', replay_at = NULL, attempts = attempts + 1, reason = $3, last_seen = now()
         WHERE id = $1 AND replay_at = $2",
    )
    .bind(replay.id)
    .bind(replay.leased_until)
    .bind(&reason)
    .execute(&mut *transaction)
    .await?;
    if marked.rows_affected() > 0 {
        let failed = Action { action: AuditAction::Failed, actor: SERVICE, note: Some(&reason) };
        audit::insert(&mut transaction, &[replay.id], failed).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// How many messages wait for a decision, by the queue that they failed on.
pub(crate) async fn open_by_queue(pool: &PgPool) -> Result<HashMap<String, i64>, StoreError> {
    let rows = sqlx::query_as::<_, (String, i64)>(
        "SELECT queue, count(*) AS open FROM failed_messages WHERE status = 'FAILED' GROUP BY queue",
    );
    Ok(rows.fetch_all(pool).await?.into_iter().collect())
}

/// The condition that a filter means, with the parameters that [`arguments`] gives.
macro_rules! matches_filter {
    () => {
        "($1::text IS NULL OR queue = $1)
         AND ($2::text IS NULL OR event_type = $2)
         AND ($3::text IS NULL OR strpos(lower(reason), lower($3)) > 0)
         AND ($4::text IS NULL OR status = $4)
         AND ($5::timestamptz IS NULL OR last_seen >= $5)
         AND ($6::timestamptz IS NULL OR last_seen < $6)"
    };
}

/// The first parameters of a statement that holds [`matches_filter!`].
fn arguments(filter: &FailedMessageFilter) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    let added = arguments
        .add(&filter.queue)
        .and_then(|()| arguments.add(&filter.event_type))
        .and_then(|()| arguments.add(&filter.reason))
        .and_then(|()| arguments.add(filter.status))
        .and_then(|()| arguments.add(filter.from))
        .and_then(|()| arguments.add(filter.to));
    added.map_err(StoreError::Encoding)?;
    Ok(arguments)
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    queue: String,
    exchange: String,
    routing_key: String,
    status: Word,
    reason: String,
    attempts: i32,
    first_seen: Timestamp,
    last_seen: Timestamp,
    event_type: Option<String>,
    message_id: Option<String>,
    correlation_id: Option<String>,
    #[sqlx(json)]
    trace_context: TraceContext,
}

impl From<Row> for FailedMessage<Word> {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            queue: row.queue,
            exchange: row.exchange,
            routing_key: row.routing_key,
            status: row.status,
            reason: row.reason,
            attempts: row.attempts.unsigned_abs(),
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            event_type: row.event_type,
            message_id: row.message_id,
            correlation_id: row.correlation_id,
            trace_id: row.trace_context.trace_id(),
        }
    }
}

/// How many messages a filter means.
pub(crate) async fn count(pool: &PgPool, filter: &FailedMessageFilter) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar_with::<_, i64, _>(
        concat!("SELECT count(*) FROM failed_messages WHERE ", matches_filter!()),
        arguments(filter)?,
    );
    Ok(count.fetch_one(pool).await?.unsigned_abs())
}

/// A page of the messages that a filter means, the one that failed last first.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &FailedMessageFilter,
    page: PageRequest,
) -> Result<Page<FailedMessage<Word>>, StoreError> {
    let total = count(pool, filter).await?;
    let rows = sqlx::query_as_with::<_, Row, _>(
        concat!(
            "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                    event_type, message_id, correlation_id, trace_context
             FROM failed_messages
             WHERE ",
            matches_filter!(),
            " ORDER BY last_seen DESC, id DESC LIMIT $7 OFFSET $8"
        ),
        arguments(filter)?,
    )
    .bind(i64::from(page.limit()))
    .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let data = rows.into_iter().map(FailedMessage::from).collect();
    Ok(Page { data, meta: PageMeta::new(page, total) })
}

/// The open messages whose body names an order, the one that failed last first: 20 at most, of the latest thousand open ones.
pub(crate) async fn open_of_order(
    pool: &PgPool,
    order: OrderId,
) -> Result<Vec<FailedMessage<Word>>, StoreError> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                event_type, message_id, correlation_id, trace_context
         FROM (SELECT * FROM failed_messages WHERE status = 'FAILED' ORDER BY last_seen DESC, id DESC LIMIT 1000) AS open
         WHERE position(convert_to($1::text, 'UTF8') IN body) > 0
         ORDER BY last_seen DESC, id DESC
         LIMIT 20",
    );
    let rows = rows.bind(order.to_string()).fetch_all(pool).await?;
    Ok(rows.into_iter().map(FailedMessage::from).collect())
}

#[derive(FromRow)]
struct DetailsRow {
    #[sqlx(flatten)]
    message: Row,
    headers: Value,
    body: Vec<u8>,
}

/// One message, with its body and what was done about it.
pub(crate) async fn find(
    pool: &PgPool,
    id: Uuid,
) -> Result<Option<FailedMessageDetails<Word, Word>>, StoreError> {
    let row = sqlx::query_as::<_, DetailsRow>(
        "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                event_type, message_id, correlation_id, trace_context, headers, body
         FROM failed_messages WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    let Some(DetailsRow { message, headers, body }) = row else { return Ok(None) };
    Ok(Some(FailedMessageDetails {
        message: message.into(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        audit: audit::of_message(pool, id).await?,
    }))
}

/// What became of an operator's decision about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is carried out.
    Taken,
    /// There is no such message.
    Unknown,
    /// The message is in this state, which does not allow it.
    Refused(Word),
}

/// Lets one message be handled again as soon as possible. One that was replayed or discarded can be replayed as well:
/// handling it twice changes nothing.
pub(crate) async fn replay(pool: &PgPool, id: Uuid, actor: &str) -> Result<Decision, StoreError> {
    let mut transaction = pool.begin().await?;
    let updated =
        sqlx::query("UPDATE failed_messages SET status = 'REPLAYING', replay_at = now() WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    if updated.rows_affected() == 0 {
        return Ok(Decision::Unknown);
    }
    let requested = Action { action: AuditAction::ReplayRequested, actor, note: None };
    audit::insert(&mut transaction, &[id], requested).await?;
    transaction.commit().await?;
    Ok(Decision::Taken)
}

/// Lets all open messages that the filter means be handled again, `rate_per_second` of them at most. Returns how many.
pub(crate) async fn replay_matching(
    pool: &PgPool,
    filter: &FailedMessageFilter,
    rate_per_second: Option<u32>,
    actor: &str,
) -> Result<u64, StoreError> {
    // The rate is a timetable: it holds across replicas, and survives a restart.
    let interval = rate_per_second.map_or(0.0, |rate| 1.0 / f64::from(rate.max(1)));
    let mut transaction = pool.begin().await?;
    let scheduled = sqlx::query_scalar_with::<_, Uuid, _>(
        concat!(
            "WITH chosen AS (
                 SELECT id, row_number() OVER (ORDER BY first_seen, id) - 1 AS turn
                 FROM failed_messages WHERE ",
            matches_filter!(),
            ")
             UPDATE failed_messages
             SET status = 'REPLAYING', replay_at = now() + chosen.turn * $7::float8 * interval '1 second'
             FROM chosen
             WHERE failed_messages.id = chosen.id AND failed_messages.status = 'FAILED'
             RETURNING failed_messages.id"
        ),
        arguments(filter)?,
    )
    .bind(interval)
    .fetch_all(&mut *transaction)
    .await?;
    let requested = Action { action: AuditAction::ReplayRequested, actor, note: None };
    audit::insert(&mut transaction, &scheduled, requested).await?;
    transaction.commit().await?;
    Ok(scheduled.len() as u64)
}

/// What an operator gives up, and why.
pub(crate) struct Discard<'a> {
    pub(crate) id: Uuid,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
}

/// Gives a message up; it must wait for a decision.
pub(crate) async fn discard(pool: &PgPool, discard: Discard<'_>) -> Result<Decision, StoreError> {
    let Discard { id, actor, reason } = discard;
    let mut transaction = pool.begin().await?;
    let status = sqlx::query_scalar::<_, Word>("SELECT status FROM failed_messages WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    match status {
        None => return Ok(Decision::Unknown),
        Some(status) if status == <&str>::from(FailedMessageStatus::Failed) => {}
        Some(status) => return Ok(Decision::Refused(status)),
    }
    sqlx::query("UPDATE failed_messages SET status = 'DISCARDED' WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    let discarded = Action { action: AuditAction::Discarded, actor, note: Some(reason) };
    audit::insert(&mut transaction, &[id], discarded).await?;
    transaction.commit().await?;
    Ok(Decision::Taken)
}
