//! Refunds in the table `payments`, as operators see them: money that is owed, and what it waits for.

use chassis::database::{Connections, StoreError};
use contracts::page::{Page, PageMeta, PageRequest};
use contracts::refund::{Refund, RefundStatus};
use contracts::{Money, OrderId, OwnerFilter, PaymentId, Timestamp, Word};
use sqlx::{FromRow, PgPool};

/// The refunds that are owed, with a status like `$1` unless that is null. In the words of the index `payments_refunds`.
macro_rules! is_owed {
    () => {
        "(next_step = 'REFUND' OR refund_refusal IS NOT NULL)
         AND ($1::text IS NULL OR (refund_refusal IS NULL) = ($1 = 'OPEN'))"
    };
}

#[derive(FromRow)]
struct Row {
    id: PaymentId,
    order_id: OrderId,
    amount: Money,
    status: Word,
    is_open: bool,
    refund_refusal: Option<String>,
    since: Timestamp,
    attempts: i32,
    transaction_id: Option<String>,
    last_error: Option<String>,
}

/// A refund as operators see it, whichever version wrote its payment.
pub(crate) type OperatorRefund = Refund<Word>;

impl From<Row> for OperatorRefund {
    fn from(row: Row) -> Self {
        let status = match (row.is_open, &row.refund_refusal) {
            (_, Some(_)) => RefundStatus::Refused,
            (true, None) => RefundStatus::Open,
            (false, None) => RefundStatus::Done,
        };
        Self {
            payment_id: row.id,
            order_id: row.order_id,
            amount: row.amount,
            status,
            payment_status: row.status,
            since: row.since,
            attempts: row.attempts.unsigned_abs(),
            transaction_id: row.transaction_id,
            reason: row.refund_refusal.or(row.last_error),
        }
    }
}

/// A page of the refunds that are owed, the oldest first.
pub(crate) async fn list(
    connections: &Connections,
    status: Option<RefundStatus>,
    page: PageRequest,
) -> Result<Page<OperatorRefund>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let total = sqlx::query_scalar::<_, i64>(concat!("SELECT count(*) FROM payments WHERE ", is_owed!()))
        .bind(status);
    let total = total.fetch_one(&mut *connection).await?.unsigned_abs();
    let rows = sqlx::query_as::<_, Row>(concat!(
        "SELECT id, order_id, amount, status, coalesce(next_step = 'REFUND', false) AS is_open, refund_refusal,
                coalesce(refund_owed_since, updated_at) AS since, attempts, transaction_id, last_error
         FROM payments
         WHERE ",
        is_owed!(),
        " ORDER BY coalesce(refund_owed_since, updated_at), id LIMIT $2 OFFSET $3"
    ))
    .bind(status)
    .bind(i64::from(page.limit()))
    .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    connection.keep();
    Ok(Page { data: rows.into_iter().map(OperatorRefund::from).collect(), meta: PageMeta::new(page, total) })
}

/// The refund of a payment; `None` if none was ever owed.
pub(crate) async fn find(
    connections: &Connections,
    id: PaymentId,
) -> Result<Option<OperatorRefund>, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let row = sqlx::query_as::<_, Row>(
        "SELECT id, order_id, amount, status, coalesce(next_step = 'REFUND', false) AS is_open, refund_refusal,
                coalesce(refund_owed_since, updated_at) AS since, attempts, transaction_id, last_error
         FROM payments
         WHERE id = $1
           AND (next_step = 'REFUND' OR refund_refusal IS NOT NULL OR refund_reference IS NOT NULL
                OR status = 'REFUNDED' OR EXISTS (SELECT FROM refund_audit WHERE payment_id = payments.id))",
    );
    let row = row.bind(id).fetch_optional(&mut *connection).await?;
    connection.keep();
    Ok(row.map(OperatorRefund::from))
}

/// Refunds that are owed.
#[derive(Clone, Copy, Debug, FromRow)]
pub(crate) struct OwedRefunds {
    /// Those that the provider refused.
    pub(crate) refused: i64,
    /// For how many seconds the oldest of the others has been owed.
    pub(crate) oldest_age: f64,
}

/// How many refunds the provider refused, and how old the oldest of the others is.
pub(crate) async fn measure(pool: &PgPool) -> Result<OwedRefunds, StoreError> {
    let owed = sqlx::query_as::<_, OwedRefunds>(
        "SELECT count(*) FILTER (WHERE refund_refusal IS NOT NULL) AS refused,
                coalesce(extract(epoch FROM now() - min(coalesce(refund_owed_since, updated_at))
                                            FILTER (WHERE refund_refusal IS NULL)), 0)::float8 AS oldest_age
         FROM payments WHERE next_step = 'REFUND' OR refund_refusal IS NOT NULL",
    );
    Ok(owed.fetch_one(pool).await?)
}
