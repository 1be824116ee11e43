//! The table `audit_records`: a chain that is only added to.

use std::collections::HashSet;

use chassis::database::StoreError;
use contracts::audit_chain::{ChainHash, ChainHead};
use contracts::audit_record::AuditRecord;
use contracts::{Timestamp, Word};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

#[derive(Serialize)]
struct NewRow<'a> {
    number: u64,
    id: Uuid,
    recorded_at: Timestamp,
    action: &'a str,
    actor: Option<&'a str>,
    key_id: Option<&'a str>,
    address: Option<&'a str>,
    correlation_id: Option<&'a str>,
    subject: Option<&'a str>,
    outcome: Option<u16>,
    reason: Option<&'a str>,
    count: u32,
    /// In hexadecimal digits.
    hash: String,
}

impl<'a> NewRow<'a> {
    fn of(record: &'a AuditRecord<Word>, ChainHead { number, hash }: ChainHead) -> Self {
        Self {
            number,
            id: record.id,
            recorded_at: record.recorded_at,
            action: &record.action,
            actor: record.actor.as_deref(),
            key_id: record.key_id.as_deref(),
            address: record.address.as_deref(),
            correlation_id: record.correlation_id.as_deref(),
            subject: record.subject.as_deref(),
            outcome: record.outcome,
            reason: record.reason.as_deref(),
            count: record.count,
            hash: hash.to_string(),
        }
    }
}

/// Adds records behind the last one, in their order and in one transaction; those that are stored already stay where they are.
/// Returns the last one afterwards if there is a new one.
pub(crate) async fn append(
    pool: &PgPool,
    records: &[AuditRecord<Word>],
) -> Result<Option<ChainHead>, StoreError> {
    let mut transaction = pool.begin().await?;
    // Replicas append one after the other. The statements behind this one see what the one before has committed.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('paysaga audit', 0))")
        .execute(&mut *transaction)
        .await?;
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let stored = sqlx::query_scalar::<_, Uuid>("SELECT id FROM audit_records WHERE id = ANY($1)");
    let mut known: HashSet<Uuid> = stored.bind(ids).fetch_all(&mut *transaction).await?.into_iter().collect();
    let mut head = last(&mut transaction).await?;
    let mut rows = Vec::new();
    for record in records.iter().filter(|record| known.insert(record.id)) {
        head = head.next(record);
        rows.push(NewRow::of(record, head));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    sqlx::query(
        "INSERT INTO audit_records (number, id, recorded_at, action, actor, key_id, address, correlation_id, subject,
                                    outcome, reason, count, hash)
         SELECT number, id, recorded_at, action, actor, key_id, address, correlation_id, subject, outcome, reason, count,
                decode(hash, 'hex')
         FROM jsonb_to_recordset($1) AS new (number bigint, id uuid, recorded_at timestamptz, action text, actor text,
                                             key_id text, address text, correlation_id text, subject text,
                                             outcome integer, reason text, count bigint, hash text)",
    )
    .bind(Json(rows))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(head))
}

/// The last record.
pub(crate) async fn head(pool: &PgPool) -> Result<ChainHead, StoreError> {
    last(&mut *pool.acquire().await?).await
}

async fn last(connection: &mut PgConnection) -> Result<ChainHead, StoreError> {
    let last = sqlx::query_as::<_, (i64, Vec<u8>)>(
        "SELECT number, hash FROM audit_records ORDER BY number DESC LIMIT 1",
    );
    let Some((number, hash)) = last.fetch_optional(connection).await? else { return Ok(ChainHead::START) };
    let hash = ChainHash::try_from(hash).map_err(|error| StoreError::Encoding(Box::new(error)))?;
    Ok(ChainHead { number: number.unsigned_abs(), hash })
}
