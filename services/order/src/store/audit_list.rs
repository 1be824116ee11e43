//! The table `audit_records` as operators read it: the latest first.

use chassis::database::StoreError;
use contracts::audit_list::{AuditFilter, AuditRequest, NumberedAuditRecord};
use contracts::audit_record::AuditRecord;
use contracts::page::{Slice, SliceMeta, cut};
use contracts::{Timestamp, Word};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Most records that are looked at for one page: some tens of milliseconds. Who looks for what is rare gets pages that are not full, and
/// reads on.
const LOOKED_AT: i64 = 20_000;

#[derive(FromRow)]
struct Row {
    number: i64,
    id: Uuid,
    recorded_at: Timestamp,
    action: Word,
    actor: Option<String>,
    key_id: Option<String>,
    address: Option<String>,
    correlation_id: Option<String>,
    subject: Option<String>,
    outcome: Option<i32>,
    reason: Option<String>,
    count: i64,
    /// How many were looked at until this one.
    place: i64,
    is_wanted: bool,
}

impl From<Row> for NumberedAuditRecord<Word> {
    fn from(row: Row) -> Self {
        Self {
            number: row.number.unsigned_abs(),
            record: AuditRecord {
                id: row.id,
                recorded_at: row.recorded_at,
                action: row.action,
                actor: row.actor,
                key_id: row.key_id,
                address: row.address,
                correlation_id: row.correlation_id,
                subject: row.subject,
                outcome: row.outcome.and_then(|status| status.try_into().ok()),
                reason: row.reason,
                count: row.count.try_into().unwrap_or(u32::MAX),
            },
        }
    }
}

/// A part of the audit.
pub(crate) struct Listed {
    pub(crate) body: Slice<NumberedAuditRecord<Word>>,
    /// The record behind which it goes on, if it does.
    pub(crate) next: Option<u64>,
}

/// What a filter means of the audit, the latest first. The last record that was looked at is read as well, wanted or not.
pub(crate) async fn page(pool: &PgPool, asked: &AuditRequest) -> Result<Listed, StoreError> {
    let AuditRequest { filter, cursor, limit } = asked;
    let AuditFilter { actor, action, subject, from, to } = filter;
    let rows = sqlx::query_as::<_, Row>(
        "SELECT * FROM (
             SELECT number, id, recorded_at, action, actor, key_id, address, correlation_id, subject, outcome, reason, count,
                    row_number() OVER (ORDER BY recorded_at DESC, number DESC) AS place,
                    ($3::text IS NULL OR coalesce(actor = $3, false)) AND ($4::text IS NULL OR action = $4)
                    AND ($5::text IS NULL OR coalesce(strpos(subject, $5) > 0, false)) AS is_wanted
             FROM audit_records
             WHERE (recorded_at, number)
                   < (CASE WHEN $1::bigint IS NULL THEN coalesce($7::timestamptz, 'infinity')
                           ELSE (SELECT recorded_at FROM audit_records WHERE number = $1) END, coalesce($1, 0))
               AND recorded_at >= coalesce($6::timestamptz, '-infinity') AND recorded_at < coalesce($7::timestamptz, 'infinity')
             ORDER BY recorded_at DESC, number DESC
             LIMIT $8
         ) AS looked_at
         WHERE is_wanted OR place = $8
         ORDER BY recorded_at DESC, number DESC
         LIMIT $2",
    );
    let rows = rows
        .bind(cursor.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
        .bind(i64::from(*limit) + 1)
        .bind(actor)
        .bind(action)
        .bind(subject)
        .bind(from)
        .bind(to)
        .bind(LOOKED_AT);
    let (mut rows, more) = cut(rows.fetch_all(pool).await?, *limit);
    let next =
        rows.last().filter(|last| more || last.place == LOOKED_AT).map(|last| last.number.unsigned_abs());
    rows.retain(|row| row.is_wanted);
    let data = rows.into_iter().map(NumberedAuditRecord::from).collect();
    Ok(Listed { body: Slice { data, meta: SliceMeta { limit: *limit } }, next })
}
