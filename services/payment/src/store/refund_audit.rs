//! The table `refund_audit`: what the provider answered to refunds that it refused, and what operators decided.

use chassis::aggregate::Updated;
use chassis::database::StoreError;
use contracts::refund::{RefundAction, RefundAuditEntry};
use contracts::{PaymentId, Word};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::domain::Payment;

/// The actor of the provider's refusals.
const PROVIDER: &str = "provider";

#[derive(Serialize)]
struct NewRow<'a> {
    payment_id: PaymentId,
    action: RefundAction,
    actor: &'a str,
    reference: Option<&'a str>,
    note: &'a str,
}

/// Adds what happened to the refunds of payments, in the transaction that changes them.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    updated: &[Updated<Payment>],
) -> Result<(), StoreError> {
    let rows: Vec<NewRow<'_>> = updated
        .iter()
        .flat_map(|Updated { order_id, after, .. }| {
            after.refund_records.iter().map(|record| NewRow {
                payment_id: PaymentId::of_order(*order_id),
                action: record.action,
                actor: record.actor.as_deref().unwrap_or(PROVIDER),
                reference: record.reference.as_deref(),
                note: &record.note,
            })
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO refund_audit (payment_id, action, actor, reference, note)
         SELECT payment_id, action, actor, reference, note
         FROM jsonb_to_recordset($1) AS new (payment_id uuid, action text, actor text, reference text, note text)",
    )
    .bind(Json(rows))
    .execute(connection)
    .await?;
    Ok(())
}

/// What happened to a payment's refund, oldest first.
pub(crate) async fn of_payment(
    pool: &PgPool,
    id: PaymentId,
) -> Result<Vec<RefundAuditEntry<Word>>, StoreError> {
    let entries = sqlx::query_as::<_, RefundAuditEntry<Word>>(
        "SELECT action, actor, at, reference, note FROM refund_audit WHERE payment_id = $1 ORDER BY id",
    );
    Ok(entries.bind(id).fetch_all(pool).await?)
}
