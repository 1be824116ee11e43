//! Payments in PostgreSQL, as the saga changes them: set by set, each change guarded by the state that it starts from.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chassis::database;
use chassis::outbox::Cause;
use chassis::telemetry::TraceContext;
use contracts::{Money, OrderId, PaymentId, PaymentStatus};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::domain::{Payment, Saga, Step, Trigger, transition};

/// What the service knows about some orders' payments.
pub(crate) type Sagas = HashMap<OrderId, Saga>;

/// What a change needs to know besides the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    /// Where a new payment, or its new next step, came from.
    pub(crate) cause: Cause,
    /// Whether the next step belongs to `cause` from now on: a refund to the cancellation, not to the order.
    pub(crate) adopt: bool,
    /// What the provider said, if it was not good news.
    pub(crate) error: Option<String>,
    /// Whether the next step is to wait, because the last one brought nothing.
    pub(crate) wait: bool,
}

/// Locks the payments of orders against every other transaction that loads or takes them, and reads what is known.
///
/// Payments that don't exist yet are locked as well: a cancellation and the order that it overtook must see each other.
pub(crate) async fn load(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Sagas, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|id| id.as_uuid()).collect();
    database::lock_aggregates(connection, &ids).await?;
    let early: Vec<Uuid> =
        sqlx::query_scalar("SELECT order_id FROM early_cancellations WHERE order_id = ANY($1)")
            .bind(&ids)
            .fetch_all(&mut *connection)
            .await?;
    let early: HashSet<Uuid> = early.into_iter().collect();
    let mut sagas: Sagas = ids
        .iter()
        .map(|id| ((*id).into(), if early.contains(id) { Saga::CancelledEarly } else { Saga::Unknown }))
        .collect();
    let rows = sqlx::query(
        "SELECT order_id, amount, status, next_step, attempts, cancel_requested, transaction_id
         FROM payments WHERE order_id = ANY($1) ORDER BY id FOR UPDATE",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    for row in &rows {
        sagas.insert(row.try_get::<Uuid, _>("order_id")?.into(), Saga::Known(read_payment(row)?));
    }
    Ok(sagas)
}

fn read_payment(row: &PgRow) -> Result<Payment, sqlx::Error> {
    let step: Option<&str> = row.try_get("next_step")?;
    Ok(Payment {
        amount: database::decode(row.try_get::<Decimal, _>("amount")?.try_into())?,
        status: database::decode(row.try_get::<&str, _>("status")?.parse())?,
        step: step.map(|step| database::decode(step.parse())).transpose()?,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        cancel_requested: row.try_get("cancel_requested")?,
        transaction_id: row.try_get("transaction_id")?,
    })
}

/// Writes down what changed between `before` and `after`.
pub(crate) async fn save(
    connection: &mut PgConnection,
    before: &Sagas,
    after: &Sagas,
    notes: &HashMap<OrderId, Note>,
) -> Result<(), sqlx::Error> {
    let mut opened = Vec::new();
    let mut changed = Vec::new();
    let mut cancelled_early = Vec::new();
    let no_note = Note::default();
    for (id, saga) in after {
        let note = notes.get(id).unwrap_or(&no_note);
        match (before.get(id), saga) {
            (Some(before), after) if before == after && !note.wait => {}
            (Some(Saga::Known(from)), Saga::Known(to)) => changed.push((*id, from.status, to, note)),
            (_, Saga::Known(payment)) => opened.push((*id, payment, note)),
            (_, Saga::CancelledEarly) => cancelled_early.push(id.as_uuid()),
            (_, Saga::Unknown) => {}
        }
    }
    if !opened.is_empty() {
        insert(connection, &opened).await?;
    }
    if !changed.is_empty() {
        update(connection, &changed).await?;
    }
    if !cancelled_early.is_empty() {
        insert_early_cancellations(connection, cancelled_early).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut PgConnection,
    opened: &[(OrderId, &Payment, &Note)],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = opened.iter().map(|(id, ..)| PaymentId::of_order(*id).as_uuid()).collect();
    let order_ids: Vec<Uuid> = opened.iter().map(|(id, ..)| id.as_uuid()).collect();
    let amounts: Vec<Decimal> = opened.iter().map(|(_, payment, _)| payment.amount.as_decimal()).collect();
    let statuses: Vec<&str> = opened.iter().map(|(_, payment, _)| payment.status.into()).collect();
    let steps: Vec<Option<&str>> =
        opened.iter().map(|(_, payment, _)| payment.step.map(Into::into)).collect();
    let cancelled: Vec<bool> = opened.iter().map(|(_, payment, _)| payment.cancel_requested).collect();
    let correlation_ids: Vec<Option<&str>> =
        opened.iter().map(|(.., note)| note.cause.correlation_id.as_deref()).collect();
    let traces: Vec<_> = opened.iter().map(|(.., note)| Json(&note.cause.trace)).collect();
    let inserted = sqlx::query(
        "INSERT INTO payments (id, order_id, amount, status, next_step, due_at, cancel_requested,
                               correlation_id, trace_context)
         SELECT id, order_id, amount, status, next_step, CASE WHEN next_step IS NOT NULL THEN now() END,
                cancel_requested, correlation_id, trace_context
         FROM UNNEST($1::uuid[], $2::uuid[], $3::numeric[], $4::text[], $5::text[], $6::boolean[],
                     $7::text[], $8::jsonb[])
              AS opened (id, order_id, amount, status, next_step, cancel_requested, correlation_id, trace_context)
         ON CONFLICT DO NOTHING",
    )
    .bind(ids)
    .bind(order_ids)
    .bind(amounts)
    .bind(statuses)
    .bind(steps)
    .bind(cancelled)
    .bind(correlation_ids)
    .bind(traces)
    .execute(connection)
    .await?;
    database::expect_rows(&inserted, opened.len())
}

async fn update(
    connection: &mut PgConnection,
    changed: &[(OrderId, PaymentStatus, &Payment, &Note)],
) -> Result<(), sqlx::Error> {
    let order_ids: Vec<Uuid> = changed.iter().map(|(id, ..)| id.as_uuid()).collect();
    let from: Vec<&str> = changed.iter().map(|(_, from, ..)| (*from).into()).collect();
    let to: Vec<&str> = changed.iter().map(|(_, _, payment, _)| payment.status.into()).collect();
    let steps: Vec<Option<&str>> =
        changed.iter().map(|(_, _, payment, _)| payment.step.map(Into::into)).collect();
    let cancelled: Vec<bool> = changed.iter().map(|(_, _, payment, _)| payment.cancel_requested).collect();
    let transactions: Vec<Option<&str>> =
        changed.iter().map(|(_, _, payment, _)| payment.transaction_id.as_deref()).collect();
    let errors: Vec<Option<&str>> = changed.iter().map(|(.., note)| note.error.as_deref()).collect();
    let waits: Vec<bool> = changed.iter().map(|(.., note)| note.wait).collect();
    let adopted: Vec<bool> = changed.iter().map(|(.., note)| note.adopt).collect();
    let correlation_ids: Vec<Option<&str>> =
        changed.iter().map(|(.., note)| note.cause.correlation_id.as_deref()).collect();
    let traces: Vec<_> = changed.iter().map(|(.., note)| Json(&note.cause.trace)).collect();
    let updated = sqlx::query(
        "UPDATE payments
         SET status = change.after,
             next_step = change.next_step,
             due_at = CASE
                 WHEN change.next_step IS NULL THEN NULL
                 WHEN change.wait THEN now() + retry_delay(payments.attempts)
                 WHEN change.next_step IS DISTINCT FROM payments.next_step THEN now()
                 ELSE payments.due_at
             END,
             cancel_requested = change.cancel_requested,
             transaction_id = change.transaction_id,
             last_error = coalesce(change.error, payments.last_error),
             correlation_id = CASE WHEN change.adopt THEN change.correlation_id ELSE payments.correlation_id END,
             trace_context = CASE WHEN change.adopt THEN change.trace_context ELSE payments.trace_context END,
             updated_at = CASE WHEN change.after = change.before THEN payments.updated_at ELSE now() END
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::boolean[],
                     $9::boolean[], $10::text[], $11::jsonb[])
              AS change (order_id, before, after, next_step, cancel_requested, transaction_id, error, wait,
                         adopt, correlation_id, trace_context)
         WHERE payments.order_id = change.order_id AND payments.status = change.before",
    )
    .bind(order_ids)
    .bind(from)
    .bind(to)
    .bind(steps)
    .bind(cancelled)
    .bind(transactions)
    .bind(errors)
    .bind(waits)
    .bind(adopted)
    .bind(correlation_ids)
    .bind(traces)
    .execute(connection)
    .await?;
    database::expect_rows(&updated, changed.len())
}

async fn insert_early_cancellations(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO early_cancellations (order_id)
         SELECT * FROM UNNEST($1::uuid[])
         ON CONFLICT DO NOTHING",
    )
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

/// A step that this replica has taken: nobody else takes it before the lease lapses.
#[derive(Clone, Debug)]
pub(crate) struct TakenStep {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) amount: Money,
    pub(crate) step: Step,
    pub(crate) attempt: u32,
    /// Whether a charge that was sent off earlier can no longer be on its way.
    pub(crate) settled: bool,
    /// Where the events that the answer causes belong.
    pub(crate) cause: Cause,
}

/// Takes up to `limit` due steps for the time of `lease`, passing over those that another replica is taking.
///
/// `arrival` is how long after its sending a charge may still reach the provider.
pub(crate) async fn take_due_steps(
    connection: &mut PgConnection,
    limit: usize,
    lease: Duration,
    arrival: Duration,
) -> Result<Vec<TakenStep>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, order_id, amount, status, next_step, attempts, cancel_requested, transaction_id,
                correlation_id, trace_context,
                coalesce(last_charge_at < now() - $2, true) AS settled
         FROM payments
         WHERE due_at <= now()
         ORDER BY due_at
         LIMIT $1
         FOR UPDATE SKIP LOCKED",
    )
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .bind(arrival)
    .fetch_all(&mut *connection)
    .await?;
    let mut taken = Vec::with_capacity(rows.len());
    let mut next_steps: Vec<Option<&str>> = Vec::with_capacity(rows.len());
    for row in &rows {
        let payment = read_payment(row)?;
        let order_id = row.try_get::<Uuid, _>("order_id")?.into();
        let Some(step) = payment.step else { continue };
        let amount = payment.amount;
        let attempt = payment.attempts + 1;
        let Saga::Known(after) = transition(order_id, &Saga::Known(payment), Trigger::StepTaken).next else {
            continue;
        };
        next_steps.push(after.step.map(Into::into));
        taken.push(TakenStep {
            payment_id: row.try_get::<Uuid, _>("id")?.into(),
            order_id,
            amount,
            step,
            attempt,
            settled: row.try_get("settled")?,
            cause: Cause {
                correlation_id: row.try_get("correlation_id")?,
                trace: row.try_get::<Json<TraceContext>, _>("trace_context")?.0,
            },
        });
    }
    if !taken.is_empty() {
        let ids: Vec<Uuid> = taken.iter().map(|taken| taken.payment_id.as_uuid()).collect();
        sqlx::query(
            "UPDATE payments
             SET last_charge_at = CASE WHEN payments.next_step = 'CHARGE' THEN now() ELSE last_charge_at END,
                 next_step = taken.next_step,
                 attempts = attempts + 1,
                 due_at = now() + $3
             FROM UNNEST($1::uuid[], $2::text[]) AS taken (id, next_step)
             WHERE payments.id = taken.id",
        )
        .bind(ids)
        .bind(next_steps)
        .bind(lease)
        .execute(connection)
        .await?;
    }
    Ok(taken)
}

/// How many payments wait for an answer that the provider did not give.
pub(crate) async fn count_unknown(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM payments
         WHERE due_at IS NOT NULL AND status = 'PROCESSING' AND last_error IS NOT NULL",
    )
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}
