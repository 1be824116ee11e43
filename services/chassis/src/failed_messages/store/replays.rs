//! The table `replays`, as operators see it and decide about it.

use contracts::failed_message::FailedMessageFilter;
use contracts::page::{Page, PageMeta, PageRequest};
use contracts::replay::{Replay, ReplayMember, ReplayOutcome, ReplayOutcomes, ReplayStatus};
use contracts::{Money, OrderId, Timestamp, Word};
use serde_json::{Map, Value};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::Decision;
use super::replay_decisions::{self, Decided};
use crate::database::StoreError;

#[derive(FromRow)]
struct Row {
    id: Uuid,
    status: Word,
    actor: String,
    reason: String,
    #[sqlx(json)]
    filter: Map<String, Value>,
    canary: Vec<i64>,
    wave: i64,
    waves: i64,
    stop_after: i64,
    rate_per_second: Option<i64>,
    created_at: Timestamp,
    updated_at: Timestamp,
    finished_at: Option<Timestamp>,
    members: i64,
    handled: i64,
    failed_again: i64,
    skipped: i64,
    already_handled: i64,
}

impl From<Row> for Replay<Word> {
    fn from(row: Row) -> Self {
        let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let settled = row.handled + row.failed_again + row.skipped + row.already_handled;
        Self {
            id: row.id,
            status: row.status,
            actor: row.actor,
            reason: row.reason,
            filter: FailedMessageFilter::as_far_as_known(row.filter),
            canary: row.canary.into_iter().map(number).collect(),
            wave: number(row.wave),
            waves: number(row.waves),
            stop_after: number(row.stop_after),
            rate_per_second: row.rate_per_second.map(number),
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
            outcomes: ReplayOutcomes {
                members: row.members.unsigned_abs(),
                waiting: (row.members - settled).unsigned_abs(),
                handled: row.handled.unsigned_abs(),
                failed_again: row.failed_again.unsigned_abs(),
                skipped: row.skipped.unsigned_abs(),
                already_handled: row.already_handled.unsigned_abs(),
            },
            decisions: Vec::new(),
        }
    }
}

/// The replays with what was decided about them.
async fn with_decisions(pool: &PgPool, rows: Vec<Row>) -> Result<Vec<Replay<Word>>, StoreError> {
    let mut replays: Vec<Replay<Word>> = rows.into_iter().map(Replay::from).collect();
    let ids: Vec<Uuid> = replays.iter().map(|replay| replay.id).collect();
    for (id, decision) in replay_decisions::of_replays(pool, &ids).await? {
        if let Some(replay) = replays.iter_mut().find(|replay| replay.id == id) {
            replay.decisions.push(decision);
        }
    }
    Ok(replays)
}

/// A page of the replays, the one that began last first.
pub(crate) async fn list(pool: &PgPool, page: PageRequest) -> Result<Page<Replay<Word>>, StoreError> {
    let total = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM replays").fetch_one(pool).await?;
    let rows = sqlx::query_as::<_, Row>(
        "SELECT id, status, actor, reason, filter, canary, wave, waves, stop_after, rate_per_second, created_at, updated_at,
                finished_at, members, handled, failed_again, skipped, already_handled
         FROM replays ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2",
    );
    let rows = rows.bind(i64::from(page.limit())).bind(offset(page)).fetch_all(pool).await?;
    Ok(Page { data: with_decisions(pool, rows).await?, meta: PageMeta::new(page, total.unsigned_abs()) })
}

/// One replay.
pub(crate) async fn find(pool: &PgPool, id: Uuid) -> Result<Option<Replay<Word>>, StoreError> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT id, status, actor, reason, filter, canary, wave, waves, stop_after, rate_per_second, created_at, updated_at,
                finished_at, members, handled, failed_again, skipped, already_handled
         FROM replays WHERE id = $1",
    );
    let row = row.bind(id).fetch_all(pool).await?;
    Ok(with_decisions(pool, row).await?.pop())
}

#[derive(FromRow)]
struct MemberRow {
    failed_message_id: Uuid,
    position: i64,
    wave: i64,
    order_id: Option<OrderId>,
    amount: Option<Money>,
    outcome: Option<Word>,
    at: Option<Timestamp>,
    reason: Option<String>,
}

impl From<MemberRow> for ReplayMember<Word> {
    fn from(row: MemberRow) -> Self {
        Self {
            failed_message_id: row.failed_message_id,
            position: row.position.unsigned_abs(),
            wave: u32::try_from(row.wave).unwrap_or(u32::MAX),
            order_id: row.order_id,
            amount: row.amount,
            outcome: row.outcome,
            at: row.at,
            reason: row.reason,
        }
    }
}

/// What a member has for its outcome in a filter while it has none.
pub(crate) const WAITING: &str = "WAITING";

/// A page of a replay's messages, those of this outcome if one is given.
pub(crate) async fn members(
    pool: &PgPool,
    replay: &Replay<Word>,
    outcome: Option<&str>,
    page: PageRequest,
) -> Result<Page<ReplayMember<Word>>, StoreError> {
    let rows = sqlx::query_as::<_, MemberRow>(
        "SELECT failed_message_id, position, wave, failed_messages.order_id, failed_messages.amount, outcome, at,
                replay_members.reason
         FROM replay_members LEFT JOIN failed_messages ON failed_messages.id = failed_message_id
         WHERE replay_id = $1 AND ($2::text IS NULL OR coalesce(outcome, 'WAITING') = $2)
         ORDER BY position LIMIT $3 OFFSET $4",
    );
    let rows = rows.bind(replay.id).bind(outcome).bind(i64::from(page.limit())).bind(offset(page));
    let data = rows.fetch_all(pool).await?.into_iter().map(ReplayMember::from).collect();
    Ok(Page { data, meta: PageMeta::new(page, count(&replay.outcomes, outcome)) })
}

/// How many messages have this outcome.
fn count(outcomes: &ReplayOutcomes, outcome: Option<&str>) -> u64 {
    match outcome.map(str::parse) {
        None => outcomes.members,
        Some(Ok(ReplayOutcome::Handled)) => outcomes.handled,
        Some(Ok(ReplayOutcome::FailedAgain)) => outcomes.failed_again,
        Some(Ok(ReplayOutcome::Skipped)) => outcomes.skipped,
        Some(Ok(ReplayOutcome::AlreadyHandled)) => outcomes.already_handled,
        Some(Err(_)) => outcomes.waiting,
    }
}

fn offset(page: PageRequest) -> i64 {
    i64::try_from(page.offset()).unwrap_or(i64::MAX)
}

/// What an operator wants of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Pause,
    Resume,
    Cancel,
}

impl Change {
    /// The status that it leads to; `None` where the replay's present one does not allow it.
    fn of(self, status: ReplayStatus) -> Option<ReplayStatus> {
        match (self, status) {
            (Self::Pause, ReplayStatus::Running) => Some(ReplayStatus::Paused),
            (Self::Resume, ReplayStatus::Paused | ReplayStatus::Stopped) => Some(ReplayStatus::Running),
            (Self::Cancel, ReplayStatus::Running | ReplayStatus::Paused | ReplayStatus::Stopped) => {
                Some(ReplayStatus::Cancelled)
            }
            _ => None,
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Pause => "PAUSED",
            Self::Resume => "RESUMED",
            Self::Cancel => "CANCELLED",
        }
    }
}

/// Pauses, resumes or cancels a replay. From then on no replica takes another of its messages, or they do again.
pub(crate) async fn change(
    pool: &PgPool,
    id: Uuid,
    change: Change,
    actor: &str,
    reason: &str,
) -> Result<Decision, StoreError> {
    let mut transaction = pool.begin().await?;
    let status = sqlx::query_scalar::<_, Word>("SELECT status FROM replays WHERE id = $1 FOR NO KEY UPDATE");
    let Some(status) = status.bind(id).fetch_optional(&mut *transaction).await? else {
        return Ok(Decision::Unknown);
    };
    let Some(next) = status.parse().ok().and_then(|status| change.of(status)) else {
        return Ok(Decision::Refused(status));
    };
    sqlx::query("UPDATE replays SET status = $2, failures = 0, next_at = now() WHERE id = $1")
        .bind(id)
        .bind(next)
        .execute(&mut *transaction)
        .await?;
    if change == Change::Cancel {
        // What a replica has in its hands at this moment is handled, and has the outcome that it comes to.
        sqlx::query(
            "WITH skipped AS (
                 UPDATE replay_members SET outcome = 'SKIPPED', at = now(), reason = 'the replay was cancelled'
                 WHERE replay_id = $1 AND outcome IS NULL AND begun_at IS NULL
                 RETURNING 1
             )
             UPDATE replays SET skipped = skipped + (SELECT count(*) FROM skipped), updated_at = now() WHERE id = $1",
        )
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    }
    let decided = Decided { action: change.action(), actor, reason };
    replay_decisions::insert(&mut transaction, id, decided).await?;
    transaction.commit().await?;
    Ok(Decision::Taken)
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn what_has_ended_stays_as_it_is() {
        for status in ReplayStatus::VARIANTS {
            let allowed = [Change::Pause, Change::Resume, Change::Cancel].map(|change| change.of(*status));
            let expected = match status {
                ReplayStatus::Running => [Some(ReplayStatus::Paused), None, Some(ReplayStatus::Cancelled)],
                ReplayStatus::Paused | ReplayStatus::Stopped => {
                    [None, Some(ReplayStatus::Running), Some(ReplayStatus::Cancelled)]
                }
                _ => [None; 3],
            };
            assert_eq!(allowed, expected, "{status}");
        }
    }
}
