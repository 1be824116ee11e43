//! What the payment service answers about payments.

use chassis::database;
use contracts::page::{Page, PageMeta, PageRequest};
use contracts::payment::{Payment, PaymentStats, StatusStats};
use contracts::{OrderId, PaymentId, Timestamp};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// One payment.
pub(crate) async fn payment(pool: &PgPool, id: PaymentId) -> Result<Option<Payment>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at
         FROM payments WHERE id = $1",
    )
    .bind(id.as_uuid())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(read_payment).transpose()
}

/// The payment of an order.
pub(crate) async fn payment_of_order(pool: &PgPool, id: OrderId) -> Result<Option<Payment>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at
         FROM payments WHERE order_id = $1",
    )
    .bind(id.as_uuid())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(read_payment).transpose()
}

/// A page of the payments, newest first.
pub(crate) async fn payments(pool: &PgPool, request: PageRequest) -> Result<Page<Payment>, sqlx::Error> {
    let total: i64 = sqlx::query_scalar("SELECT coalesce(sum(count), 0)::bigint FROM payment_totals")
        .fetch_one(pool)
        .await?;
    let total = total.unsigned_abs();
    let meta = PageMeta::new(request, total);
    if request.offset() >= total {
        // OFFSET walks over every row that it skips; beyond the end it would walk over all of them.
        return Ok(Page { data: Vec::new(), meta });
    }
    let rows = sqlx::query(
        "SELECT id, order_id, amount, status, transaction_id, attempts, last_error, created_at, updated_at
         FROM payments
         ORDER BY created_at DESC, id DESC
         LIMIT $1 OFFSET $2",
    )
    .bind(i64::from(request.limit()))
    .bind(i64::try_from(request.offset()).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(Page { data: rows.iter().map(read_payment).collect::<Result<_, _>>()?, meta })
}

/// How many payments have each status, and what they come to.
pub(crate) async fn stats(pool: &PgPool) -> Result<PaymentStats, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT status, sum(count)::bigint AS count, sum(amount) AS amount
         FROM payment_totals GROUP BY status HAVING sum(count) > 0 ORDER BY status",
    )
    .fetch_all(pool)
    .await?;
    let by_status = rows
        .iter()
        .map(|row| {
            Ok(StatusStats {
                status: database::decode(row.try_get::<&str, _>("status")?.parse())?,
                count: row.try_get::<i64, _>("count")?.unsigned_abs(),
                total_amount: row.try_get::<Decimal, _>("amount")?.into(),
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(PaymentStats { by_status })
}

fn read_payment(row: &PgRow) -> Result<Payment, sqlx::Error> {
    Ok(Payment {
        id: row.try_get::<Uuid, _>("id")?.into(),
        order_id: row.try_get::<Uuid, _>("order_id")?.into(),
        amount: database::decode(row.try_get::<Decimal, _>("amount")?.try_into())?,
        status: database::decode(row.try_get::<&str, _>("status")?.parse())?,
        transaction_id: row.try_get("transaction_id")?,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        last_error: row.try_get("last_error")?,
        created_at: read_time(row, "created_at")?,
        updated_at: read_time(row, "updated_at")?,
    })
}

fn read_time(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(row.try_get::<OffsetDateTime, _>(column)?.into())
}
