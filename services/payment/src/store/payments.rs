//! The table `payments`.

use std::time::Duration;

use chassis::aggregate::{Cause, Stored, Updated};
use chassis::database::{Connections, Frontier, StoreError};
use chassis::try_lock_order;
use contracts::{Money, OrderId, Owner, OwnerFilter, PaymentId, PaymentStatus, Timestamp, Word, payment};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection, PgPool};
use strum::VariantArray;

use crate::domain::{Due, Expiry, LastCharge, NextStep, Payment, Refund, Step, StepReason};

/// A payment as clients see it, whichever version wrote it.
pub(crate) type ClientPayment = payment::Payment<Word>;

#[derive(FromRow)]
struct StateRow {
    order_id: OrderId,
    owner: Owner,
    amount: Money,
    status: Word,
    next_step: Option<Word>,
    step_reason: Option<Word>,
    is_due: Option<bool>,
    attempts: i32,
    charge_in_transit: bool,
    is_expired: bool,
    cancel_requested: bool,
    transaction_id: Option<String>,
    last_error: Option<String>,
    refund_refusal: Option<String>,
    refund_reference: Option<String>,
    #[sqlx(flatten)]
    cause: Cause,
}

impl From<StateRow> for Stored<Payment> {
    fn from(row: StateRow) -> Self {
        let due = if row.is_due == Some(true) { Due::Reached } else { Due::Ahead };
        let step = row.next_step.map(|step| step.parse::<Step>()).transpose();
        let (Ok(status), Ok(step)) = (row.status.parse(), step) else { return Self::Newer };
        // Rows of older versions have none; it is for traces alone.
        let reason = row.step_reason.and_then(|reason| reason.parse().ok()).unwrap_or(StepReason::New);
        Self::Known(Payment {
            owner: row.owner,
            amount: row.amount,
            status,
            next: step.map(|step| NextStep { step, due, reason }),
            attempts: row.attempts.unsigned_abs(),
            last_charge: if row.charge_in_transit { LastCharge::InTransit } else { LastCharge::Arrived },
            expiry: if row.is_expired { Expiry::Passed } else { Expiry::Ahead },
            cancel_requested: row.cancel_requested,
            transaction_id: row.transaction_id,
            last_error: row.last_error,
            refund: match (row.refund_reference, row.refund_refusal) {
                (Some(reference), _) => Refund::Settled { reference },
                (None, Some(reason)) => Refund::Refused { reason },
                (None, None) => Refund::Ordinary,
            },
            refund_records: Vec::new(),
            cause: row.cause,
        })
    }
}

/// The steps that this version knows.
fn known_steps() -> Vec<&'static str> {
    Step::VARIANTS.iter().map(<&str>::from).collect()
}

/// Those payments of `orders` that have been opened. `transit` is how long after its sending a charge may still reach the
/// provider.
pub(crate) async fn load(
    connection: &mut PgConnection,
    orders: &[OrderId],
    transit: Duration,
) -> Result<Vec<(OrderId, Stored<Payment>)>, StoreError> {
    let rows = sqlx::query_as::<_, StateRow>(
        "SELECT order_id, owner, amount, status, next_step, step_reason, due_at <= now() AS is_due, attempts,
                coalesce(last_charge_at >= now() - $2::interval, false) AS charge_in_transit,
                coalesce(expires_at <= now(), false) AS is_expired, cancel_requested, transaction_id, last_error,
                refund_refusal, refund_reference, correlation_id, trace_context
         FROM payments WHERE order_id = ANY($1)",
    )
    .bind(orders)
    .bind(transit)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.order_id, row.into())).collect())
}

/// A payment as it is to be stored.
#[derive(Serialize)]
struct Row<'a> {
    id: PaymentId,
    order_id: OrderId,
    owner: &'a Owner,
    amount: Money,
    status: PaymentStatus,
    next_step: Option<&'static str>,
    step_reason: Option<&'static str>,
    /// When the next step is due, from now on; when it was due before, if this is not given.
    due_in_ms: Option<u128>,
    attempts: u32,
    charge_sent: bool,
    /// Until when a charge may be begun; as before, if this is not given.
    expires_at: Option<Timestamp>,
    cancel_requested: bool,
    transaction_id: Option<&'a str>,
    last_error: Option<&'a str>,
    owes_refund: bool,
    refund_refusal: Option<&'a str>,
    refund_reference: Option<&'a str>,
    #[serde(flatten)]
    cause: &'a Cause,
}

impl<'a> Row<'a> {
    fn of(order_id: OrderId, payment: &'a Payment) -> Self {
        let (refund_refusal, refund_reference) = match &payment.refund {
            Refund::Ordinary => (None, None),
            Refund::Refused { reason } => (Some(reason.as_str()), None),
            Refund::Settled { reference } => (None, Some(reference.as_str())),
        };
        Self {
            id: PaymentId::of_order(order_id),
            order_id,
            owner: &payment.owner,
            amount: payment.amount,
            status: payment.status,
            next_step: payment.step().map(Into::into),
            step_reason: payment.next.map(|next| next.reason.into()),
            due_in_ms: payment.next.and_then(|next| match next.due {
                Due::Reached | Due::Ahead => None,
                Due::Now => Some(0),
                Due::After(delay) => Some(delay.as_millis()),
            }),
            attempts: payment.attempts,
            charge_sent: payment.last_charge == LastCharge::SentNow,
            expires_at: match payment.expiry {
                Expiry::Ahead | Expiry::Passed => None,
                Expiry::At(expires_at) => Some(expires_at),
            },
            cancel_requested: payment.cancel_requested,
            transaction_id: payment.transaction_id.as_deref(),
            last_error: payment.last_error.as_deref(),
            owes_refund: payment.owes_refund(),
            refund_refusal,
            refund_reference,
            cause: &payment.cause,
        }
    }
}

/// Adds payments that don't exist yet.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    opened: &[(OrderId, Payment)],
) -> Result<(), StoreError> {
    let rows: Vec<Row<'_>> = opened.iter().map(|(order_id, payment)| Row::of(*order_id, payment)).collect();
    let inserted = sqlx::query(
        "INSERT INTO payments (id, order_id, owner, amount, status, next_step, step_reason, due_at, attempts, last_charge_at,
                               expires_at, cancel_requested, transaction_id, last_error, refund_owed_since, refund_refusal,
                               refund_reference, correlation_id, trace_context)
         SELECT id, order_id, owner, amount, status, next_step, step_reason, now() + due_in_ms * interval '1 millisecond', attempts,
                CASE WHEN charge_sent THEN now() END, expires_at, cancel_requested, transaction_id,
                last_error,
                CASE WHEN owes_refund THEN now() END, refund_refusal, refund_reference, correlation_id, trace_context
         FROM jsonb_to_recordset($1)
              AS new (id uuid, order_id uuid, owner text, amount numeric, status text, next_step text, step_reason text,
                      due_in_ms bigint,
                      attempts integer, charge_sent boolean, expires_at timestamptz, cancel_requested boolean,
                      transaction_id text, last_error text, owes_refund boolean, refund_refusal text, refund_reference text,
                      correlation_id text, trace_context jsonb)
         ON CONFLICT DO NOTHING",
    )
    .bind(Json(rows))
    .execute(connection)
    .await?;
    StoreError::expect_rows(&inserted, opened.len())
}

#[derive(Serialize)]
struct ChangedRow<'a> {
    status_before: PaymentStatus,
    attempts_before: u32,
    #[serde(flatten)]
    after: Row<'a>,
}

/// Changes payments, each of which must still have the status and the attempts of before.
pub(crate) async fn update(
    connection: &mut PgConnection,
    updated: &[Updated<Payment>],
) -> Result<(), StoreError> {
    let rows = updated.iter().map(|Updated { order_id, before, after }| ChangedRow {
        status_before: before.status,
        attempts_before: before.attempts,
        after: Row::of(*order_id, after),
    });
    let result = sqlx::query(
        "UPDATE payments
         SET status = change.status,
             next_step = change.next_step,
             step_reason = change.step_reason,
             due_at = CASE WHEN change.next_step IS NOT NULL
                           THEN coalesce(now() + change.due_in_ms * interval '1 millisecond', payments.due_at) END,
             attempts = change.attempts,
             last_charge_at = CASE WHEN change.charge_sent THEN now() ELSE payments.last_charge_at END,
             cancel_requested = change.cancel_requested,
             transaction_id = change.transaction_id,
             last_error = change.last_error,
             refund_owed_since = CASE WHEN change.owes_refund THEN coalesce(payments.refund_owed_since, now()) END,
             refund_refusal = change.refund_refusal,
             refund_reference = change.refund_reference,
             correlation_id = change.correlation_id,
             trace_context = change.trace_context,
             updated_at = CASE WHEN change.status <> change.status_before THEN now() ELSE payments.updated_at END
         FROM jsonb_to_recordset($1)
              AS change (status_before text, attempts_before integer,
                         id uuid, order_id uuid, owner text, amount numeric, status text, next_step text, step_reason text,
                         due_in_ms bigint,
                         attempts integer, charge_sent boolean, expires_at timestamptz, cancel_requested boolean,
                         transaction_id text, last_error text, owes_refund boolean, refund_refusal text, refund_reference text,
                         correlation_id text, trace_context jsonb)
         WHERE payments.order_id = change.order_id
           AND payments.status = change.status_before AND payments.attempts = change.attempts_before",
    )
    .bind(Json(rows.collect::<Vec<_>>()))
    .execute(connection)
    .await?;
    StoreError::expect_rows(&result, updated.len())
}

/// Steps that are due.
#[derive(FromRow)]
struct DueSteps {
    orders: Vec<OrderId>,
    /// How many were looked at, if fewer were free than were wanted.
    seen: i64,
    /// When the last of them became due; all that were due before are among them, or in other hands.
    last: Option<OffsetDateTime>,
    /// When they were looked for.
    looked_at: OffsetDateTime,
}

/// Orders whose payment has a step that is due, up to `limit` of them, the longest due first. Passes over those that
/// another transaction is working on, as far as it looks: at four times as many; and over those of a newer version.
pub(crate) async fn due(
    pool: &PgPool,
    frontier: &Frontier,
    limit: usize,
) -> Result<Vec<OrderId>, StoreError> {
    let start = frontier.start();
    // The locks end with this statement: they only tell what another transaction has.
    let due = sqlx::query_as::<_, DueSteps>(concat!(
        "SELECT coalesce(array_agg(order_id ORDER BY due_at), '{}') AS orders, max(due_at) AS last, now() AS looked_at,
                CASE WHEN count(*) < $2 THEN
                    (SELECT count(*)
                     FROM (SELECT FROM payments
                           WHERE due_at >= $1 AND due_at <= now() AND next_step = ANY($3) AND status = ANY($4)
                           LIMIT 4 * $2) AS due)
                ELSE $2 END AS seen
         FROM (SELECT order_id, due_at
               FROM (SELECT order_id, due_at FROM payments
                     WHERE due_at >= $1 AND due_at <= now() AND next_step = ANY($3) AND status = ANY($4)
                     ORDER BY due_at LIMIT 4 * $2) AS due
               WHERE ",
        try_lock_order!(),
        " ORDER BY due_at LIMIT $2) AS free"
    ));
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let due = due.bind(start).bind(most);
    let due = due.bind(known_steps()).bind(PaymentStatus::VARIANTS).fetch_one(pool).await?;
    let all = due.orders.len() < limit && due.seen < most.saturating_mul(4);
    frontier.looked(start, if all { due.looked_at } else { due.last.unwrap_or(start) });
    Ok(due.orders)
}

/// When the step that has been due for the longest time became due.
pub(crate) async fn first_due(pool: &PgPool) -> Result<Option<OffsetDateTime>, StoreError> {
    let first = sqlx::query_scalar::<_, OffsetDateTime>(
        "SELECT due_at FROM payments
         WHERE due_at <= now() AND next_step = ANY($1) AND status = ANY($2)
         ORDER BY due_at LIMIT 1",
    );
    Ok(first.bind(known_steps()).bind(PaymentStatus::VARIANTS).fetch_optional(pool).await?)
}

/// How many payments have a status or a step that only a newer version knows.
pub(crate) async fn count_newer(pool: &PgPool) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT (SELECT coalesce(sum(count), 0)::bigint FROM payment_totals WHERE status <> ALL($1))
              + (SELECT count(*) FROM payments
                 WHERE due_at IS NOT NULL AND status = ANY($1) AND next_step <> ALL($2))",
    );
    Ok(count.bind(PaymentStatus::VARIANTS).bind(known_steps()).fetch_one(pool).await?.unsigned_abs())
}

/// How many payments have a step that is due; counts up to `limit`, and not those of a newer version.
pub(crate) async fn count_due(pool: &PgPool, frontier: &Frontier, limit: usize) -> Result<usize, StoreError> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM (SELECT FROM payments
                               WHERE due_at >= $1 AND due_at <= now() AND next_step = ANY($3) AND status = ANY($4)
                               LIMIT $2) AS due",
    );
    let count = count.bind(frontier.start()).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let count = count.bind(known_steps()).bind(PaymentStatus::VARIANTS).fetch_one(pool).await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// How many payments wait for an answer that the provider did not give.
pub(crate) async fn count_unknown(pool: &PgPool) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM payments
         WHERE due_at IS NOT NULL AND status = 'PROCESSING' AND last_error IS NOT NULL",
    );
    Ok(count.fetch_one(pool).await?.unsigned_abs())
}

/// How the payments stand.
#[derive(FromRow)]
pub(crate) struct Standing {
    /// Those that wait for an answer that the provider did not give.
    pub(crate) unknown: i64,
    /// Steps that are due and not taken: exact up to 10 000.
    pub(crate) due: i64,
    /// Refunds that the provider refused.
    pub(crate) refused_refunds: i64,
}

/// How the payments stand. Reads what is under way, by the indexes that have nothing else.
pub(crate) async fn standing(connections: &Connections) -> Result<Standing, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let standing = sqlx::query_as::<_, Standing>(
        "SELECT (SELECT count(*) FROM payments
                 WHERE due_at IS NOT NULL AND status = 'PROCESSING' AND last_error IS NOT NULL) AS unknown,
                (SELECT count(*) FROM (SELECT FROM payments WHERE due_at <= now() LIMIT 10000) AS due) AS due,
                (SELECT count(*) FROM payments
                 WHERE (next_step = 'REFUND' OR refund_refusal IS NOT NULL) AND refund_refusal IS NOT NULL) AS refused_refunds",
    );
    let standing = standing.fetch_one(&mut *connection).await?;
    connection.keep();
    Ok(standing)
}

/// Those of `payments` that exist within the limit, as clients see them.
pub(crate) async fn find(
    connections: &Connections,
    within: &OwnerFilter,
    payments: &[PaymentId],
) -> Result<Vec<ClientPayment>, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let found = sqlx::query_as::<_, payment::Payment<Word>>(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner
         FROM payments WHERE id = ANY($1) AND $2 IN ('*', owner)",
    );
    let found = found.bind(payments).bind(within).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(found)
}

/// The payments of `orders` within the limit, as clients see them.
pub(crate) async fn find_of_orders(
    connections: &Connections,
    within: &OwnerFilter,
    orders: &[OrderId],
) -> Result<Vec<ClientPayment>, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let found = sqlx::query_as::<_, payment::Payment<Word>>(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at, owner
         FROM payments WHERE order_id = ANY($1) AND $2 IN ('*', owner)",
    );
    let found = found.bind(orders).bind(within).fetch_all(&mut *connection).await?;
    connection.keep();
    Ok(found)
}
