//! The table `replay_members`: the messages of replays, and what becomes of them.
//!
//! Locks are taken in the same order everywhere: the replay, the failed message, the member.

use contracts::Word;
use contracts::failed_message::{AuditAction, FailedMessageStatus};
use contracts::replay::{ReplayOutcome, ReplayStatus};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::audit::SERVICE;
use super::replay_decisions::{self, Decided};
use super::turns::{self, Turn};
use crate::database::StoreError;

/// The replay that a message is a member of and that has to handle it yet. Locked until the transaction ends.
#[derive(FromRow)]
pub(super) struct Membership {
    replay_id: Uuid,
    status: Word,
}

/// Locks the replay that still has to handle a message, if there is one.
pub(super) async fn lock_replay_of(
    connection: &mut PgConnection,
    message: Uuid,
) -> Result<Option<Membership>, StoreError> {
    let membership = sqlx::query_as::<_, Membership>(
        "SELECT id AS replay_id, status FROM replays
         WHERE id = (SELECT replay_id FROM replay_members WHERE failed_message_id = $1 AND outcome IS NULL)
         FOR NO KEY UPDATE",
    );
    Ok(membership.bind(message).fetch_optional(connection).await?)
}

/// Where a member stands.
#[derive(FromRow)]
struct Standing {
    begun: bool,
    /// That of its message; none if there is no such message any more.
    status: Option<Word>,
    reason: Option<String>,
}

impl Standing {
    /// What became of it, and why; `None` while that is not known.
    fn outcome(self) -> Option<(ReplayOutcome, Option<String>)> {
        let skipped = |what: &str| (ReplayOutcome::Skipped, Some(format!("it was {what} in the meantime")));
        let Some(status) = self.status else { return Some(skipped("deleted")) };
        match (status.parse().ok()?, self.begun) {
            (FailedMessageStatus::Failed, true) => Some((ReplayOutcome::FailedAgain, self.reason)),
            (FailedMessageStatus::Replayed, true) => Some((ReplayOutcome::Handled, None)),
            (FailedMessageStatus::Replayed, false) => Some((ReplayOutcome::AlreadyHandled, None)),
            (FailedMessageStatus::Discarded, _) => Some(skipped("discarded")),
            (FailedMessageStatus::Failed, false) | (FailedMessageStatus::Replaying, _) => None,
        }
    }
}

/// Gives a member the outcome that its message has come to, if it has. Returns whether it has.
pub(super) async fn settle(
    connection: &mut PgConnection,
    membership: &Membership,
    message: Uuid,
) -> Result<bool, StoreError> {
    let standing = sqlx::query_as::<_, Standing>(
        "SELECT begun_at IS NOT NULL AS begun, failed_messages.status, failed_messages.reason
         FROM replay_members LEFT JOIN failed_messages ON failed_messages.id = failed_message_id
         WHERE replay_id = $1 AND failed_message_id = $2 AND outcome IS NULL",
    );
    let standing = standing.bind(membership.replay_id).bind(message).fetch_optional(&mut *connection).await?;
    let Some((outcome, reason)) = standing.and_then(Standing::outcome) else { return Ok(false) };
    let counted = conclude(connection, membership.replay_id, message, outcome, reason.as_deref()).await?;
    let (running, stopped) = (<&str>::from(ReplayStatus::Running), <&str>::from(ReplayStatus::Stopped));
    if let Some(Counted { status, failures }) = counted
        && (membership.status == running && status == stopped)
    {
        let reason = format!("{failures} failed again, the last one so: {}", reason.unwrap_or_default());
        let stopped = Decided { action: stopped, actor: SERVICE, reason: &reason };
        replay_decisions::insert(connection, membership.replay_id, stopped).await?;
    }
    Ok(true)
}

/// What an outcome made of its replay.
#[derive(FromRow)]
struct Counted {
    status: Word,
    failures: i64,
}

/// Gives a member its outcome and counts it; the replay stops if that is one failure too many and there is more to come.
async fn conclude(
    connection: &mut PgConnection,
    replay: Uuid,
    message: Uuid,
    outcome: ReplayOutcome,
    reason: Option<&str>,
) -> Result<Option<Counted>, StoreError> {
    let counted = sqlx::query_as::<_, Counted>(
        "WITH concluded AS (
             UPDATE replay_members SET outcome = $3, at = now(), reason = $4
             WHERE replay_id = $1 AND failed_message_id = $2 AND outcome IS NULL
             RETURNING outcome
         )
         UPDATE replays
         SET handled = handled + (outcome = 'HANDLED')::int,
             failed_again = failed_again + (outcome = 'FAILED_AGAIN')::int,
             skipped = skipped + (outcome = 'SKIPPED')::int,
             already_handled = already_handled + (outcome = 'ALREADY_HANDLED')::int,
             failures = failures + (outcome = 'FAILED_AGAIN')::int,
             updated_at = now(),
             status = CASE WHEN status = 'RUNNING' AND outcome = 'FAILED_AGAIN' AND failures + 1 >= stop_after
                                AND handled + failed_again + skipped + already_handled + 1 < members
                           THEN 'STOPPED' ELSE status END
         FROM concluded WHERE id = $1
         RETURNING status, failures",
    );
    let counted = counted.bind(replay).bind(message).bind(outcome).bind(reason);
    Ok(counted.fetch_optional(connection).await?)
}

/// What was found when a replay's next message was to be taken.
pub(crate) enum Taken {
    /// A message, which is this replica's to handle for a minute.
    Turn(Box<Turn>),
    /// One that needs no handling any more; it has its outcome.
    Settled,
    /// None, for now.
    Nothing,
}

/// Takes the next message of a replay's wave. The replay's row is locked meanwhile, so that replicas keep its rate together, and
/// none takes one once it is paused, stopped or cancelled.
pub(crate) async fn take(pool: &PgPool, replay_id: Uuid) -> Result<Taken, StoreError> {
    let mut transaction = pool.begin().await?;
    let Some(wave) = lock_if_due(&mut transaction, replay_id).await? else { return Ok(Taken::Nothing) };
    let Some(message) = next_of(&mut transaction, replay_id, wave).await? else { return Ok(Taken::Nothing) };
    let taken = if let Some(turn) = turns::take_open(&mut transaction, message).await? {
        begin(&mut transaction, replay_id, message).await?;
        pace(&mut transaction, replay_id).await?;
        Taken::Turn(Box::new(turn))
    } else {
        let membership = Membership { replay_id, status: ReplayStatus::Running.to_string() };
        let is_settled = settle(&mut transaction, &membership, message).await?;
        if is_settled { Taken::Settled } else { Taken::Nothing }
    };
    transaction.commit().await?;
    Ok(taken)
}

/// Locks a replay, if it is running and its rate allows for another message; returns its wave.
async fn lock_if_due(connection: &mut PgConnection, replay: Uuid) -> Result<Option<i64>, StoreError> {
    let wave = sqlx::query_scalar::<_, i64>(
        "SELECT wave FROM replays WHERE id = $1 AND status = 'RUNNING' AND next_at <= clock_timestamp()
         FOR NO KEY UPDATE",
    );
    Ok(wave.bind(replay).fetch_optional(connection).await?)
}

/// The next message of a wave that can be taken.
async fn next_of(connection: &mut PgConnection, replay: Uuid, wave: i64) -> Result<Option<Uuid>, StoreError> {
    let message = sqlx::query_scalar::<_, Uuid>(
        "SELECT failed_message_id
         FROM replay_members LEFT JOIN failed_messages ON failed_messages.id = failed_message_id
         WHERE replay_id = $1 AND wave = $2 AND outcome IS NULL AND begun_at IS NULL AND not_before <= now()
           AND status IS DISTINCT FROM 'REPLAYING'
         ORDER BY position LIMIT 1",
    );
    Ok(message.bind(replay).bind(wave).fetch_optional(connection).await?)
}

/// Notes that a member is in a replica's hands, and the first time in its message's audit who wanted that.
async fn begin(connection: &mut PgConnection, replay: Uuid, message: Uuid) -> Result<(), StoreError> {
    sqlx::query(
        "WITH begun AS (
             UPDATE replay_members SET begun_at = now()
             WHERE replay_id = $1 AND failed_message_id = $2 AND outcome IS NULL
             RETURNING not_before
         )
         INSERT INTO failed_message_audit (failed_message_id, action, actor, note)
         SELECT $2, $3, actor, reason FROM replays, begun WHERE id = $1 AND not_before = '-infinity'",
    )
    .bind(replay)
    .bind(message)
    .bind(AuditAction::ReplayRequested)
    .execute(connection)
    .await?;
    Ok(())
}

/// Says when the next message of a replay with a rate may be taken.
async fn pace(connection: &mut PgConnection, replay: Uuid) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE replays SET next_at = clock_timestamp() + interval '1 second' / rate_per_second
         WHERE id = $1 AND rate_per_second IS NOT NULL",
    )
    .bind(replay)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets a member that was begun wait for a minute; of a replay that was cancelled meanwhile, nothing waits.
pub(super) async fn put_off(
    connection: &mut PgConnection,
    membership: &Membership,
    message: Uuid,
) -> Result<(), StoreError> {
    if membership.status == <&str>::from(ReplayStatus::Cancelled) {
        let (skipped, reason) = (ReplayOutcome::Skipped, Some("the replay was cancelled"));
        conclude(connection, membership.replay_id, message, skipped, reason).await?;
        return Ok(());
    }
    sqlx::query(
        "UPDATE replay_members SET begun_at = NULL, not_before = now() + interval '1 minute'
         WHERE replay_id = $1 AND failed_message_id = $2 AND outcome IS NULL",
    )
    .bind(membership.replay_id)
    .bind(message)
    .execute(connection)
    .await?;
    Ok(())
}

/// Members that are in no replica's hands any more and have no outcome: a service of an older version has handled them, which
/// knows nothing of replays.
pub(crate) async fn handled_by_others(pool: &PgPool) -> Result<Vec<Uuid>, StoreError> {
    let messages = sqlx::query_scalar::<_, Uuid>(
        "SELECT failed_message_id
         FROM replay_members LEFT JOIN failed_messages ON failed_messages.id = failed_message_id
         WHERE outcome IS NULL AND begun_at IS NOT NULL AND status IS DISTINCT FROM 'REPLAYING'
         LIMIT 100",
    );
    Ok(messages.fetch_all(pool).await?)
}

/// Gives such a member its outcome. Returns whether it has one now.
pub(crate) async fn settle_one(pool: &PgPool, message: Uuid) -> Result<bool, StoreError> {
    let mut transaction = pool.begin().await?;
    let Some(membership) = lock_replay_of(&mut transaction, message).await? else { return Ok(false) };
    let is_settled = settle(&mut transaction, &membership, message).await?;
    transaction.commit().await?;
    Ok(is_settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_the_outcome_that_its_message_came_to() {
        let outcome = |status: Option<&str>, begun| {
            let standing = Standing { begun, status: status.map(str::to_owned), reason: None };
            standing.outcome().map(|(outcome, _)| outcome)
        };
        for (status, waiting, begun) in [
            (Some("FAILED"), None, Some(ReplayOutcome::FailedAgain)),
            (Some("REPLAYING"), None, None),
            (Some("REPLAYED"), Some(ReplayOutcome::AlreadyHandled), Some(ReplayOutcome::Handled)),
            (Some("DISCARDED"), Some(ReplayOutcome::Skipped), Some(ReplayOutcome::Skipped)),
            (None, Some(ReplayOutcome::Skipped), Some(ReplayOutcome::Skipped)),
            // Of a newer version: what it means is not known here.
            (Some("QUARANTINED"), None, None),
        ] {
            assert_eq!((outcome(status, false), outcome(status, true)), (waiting, begun), "{status:?}");
        }
    }
}
