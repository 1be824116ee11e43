//! How a replay begins: which messages it is about, and in which waves they go.

use contracts::MoneyTotal;
use contracts::Word;
use contracts::failed_message::{FailedMessageFilter, FailedMessageStatus};
use contracts::replay::{NewReplay, ReplayPreview};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::filter::{arguments, is_in_no_replay, matches_filter};
use super::messages::{self, Row};
use super::replay_decisions::{self, Decided};
use crate::database::StoreError;

/// Most messages that a preview shows.
const SAMPLE: i64 = 10;

/// Most messages of a replay: they are added within a request.
pub(crate) const MAX_MEMBERS: i64 = 100_000;

/// What became of the wish for a replay.
pub(crate) enum Beginning {
    /// It has begun.
    Begun(Uuid),
    /// There is no message for it.
    NoMessage,
    /// It would be about so many, which is too many.
    TooMany(i64),
}

/// The filter, of messages that wait for a decision.
pub(super) fn open(filter: &FailedMessageFilter) -> FailedMessageFilter {
    FailedMessageFilter { status: Some(FailedMessageStatus::Failed), ..filter.clone() }
}

/// The number of the last message of each of the first waves. None of them is empty.
fn last_of_waves(canary: &[u32]) -> Vec<i64> {
    let ends = canary.iter().scan(0_i64, |end, size| {
        *end += i64::from(*size);
        Some(*end)
    });
    ends.collect()
}

/// How many waves so many messages go in.
fn waves(last_of_waves: &[i64], members: i64) -> i64 {
    1 + last_of_waves.iter().map(|last| i64::from(*last < members)).sum::<i64>()
}

/// Begins a replay.
pub(crate) async fn begin(pool: &PgPool, new: &NewReplay, actor: &str) -> Result<Beginning, StoreError> {
    let id = Uuid::now_v7();
    let last_of_waves = last_of_waves(&new.canary);
    let mut transaction = pool.begin().await?;
    // One begins after the other: a message belongs to one of them.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('paysaga replays', 0))")
        .execute(&mut *transaction)
        .await?;
    let filter = open(&new.filter);
    let matching = count(&mut transaction, &filter).await?;
    if matching > MAX_MEMBERS {
        return Ok(Beginning::TooMany(matching));
    }
    let members = add_members(&mut transaction, id, &filter, &last_of_waves).await?;
    if members == 0 {
        return Ok(Beginning::NoMessage);
    }
    insert(&mut transaction, id, new, actor, members, waves(&last_of_waves, members)).await?;
    let begun = Decided { action: "BEGUN", actor, reason: &new.reason };
    replay_decisions::insert(&mut transaction, id, begun).await?;
    transaction.commit().await?;
    Ok(Beginning::Begun(id))
}

/// How many messages the filter means that are in no other replay.
async fn count(connection: &mut PgConnection, filter: &FailedMessageFilter) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar_with::<_, i64, _>(
        concat!(
            "SELECT count(*) FROM failed_messages WHERE ",
            matches_filter!(),
            " AND ",
            is_in_no_replay!()
        ),
        arguments(filter)?,
    );
    Ok(count.fetch_one(connection).await?)
}

/// Makes the messages that the filter means the replay's, and returns how many they are.
async fn add_members(
    connection: &mut PgConnection,
    id: Uuid,
    filter: &FailedMessageFilter,
    last_of_waves: &[i64],
) -> Result<i64, StoreError> {
    let added = sqlx::query_with(
        concat!(
            "INSERT INTO replay_members (replay_id, position, failed_message_id, wave)
             SELECT $8, position, id, width_bucket(position - 1, $9::bigint[]) + 1
             FROM (SELECT id, row_number() OVER (ORDER BY first_seen, id) AS position
                   FROM failed_messages WHERE ",
            matches_filter!(),
            " AND ",
            is_in_no_replay!(),
            " ORDER BY first_seen, id LIMIT $10) AS chosen"
        ),
        arguments(filter)?,
    );
    let added = added.bind(id).bind(last_of_waves).bind(MAX_MEMBERS).execute(connection).await?;
    Ok(i64::try_from(added.rows_affected()).unwrap_or(i64::MAX))
}

async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    new: &NewReplay,
    actor: &str,
    members: i64,
    waves: i64,
) -> Result<(), StoreError> {
    let canary: Vec<i64> = new.canary.iter().map(|size| i64::from(*size)).collect();
    sqlx::query(
        "INSERT INTO replays (id, actor, reason, filter, canary, waves, stop_after, rate_per_second, members, causes)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce(jsonb_agg(of_members), '[]')
         FROM (SELECT DISTINCT coalesce(cause, failed_messages.reason) AS cause, queue, event_type
               FROM replay_members JOIN failed_messages ON failed_messages.id = failed_message_id
               WHERE replay_id = $1
               LIMIT 1000) AS of_members",
    )
    .bind(id)
    .bind(actor)
    .bind(&new.reason)
    .bind(Json(&new.filter))
    .bind(canary)
    .bind(waves)
    .bind(i64::from(new.stop_after))
    .bind(new.rate_per_second.map(i64::from))
    .bind(members)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Totals {
    matching: i64,
    orders: i64,
    money: MoneyTotal,
}

/// What a replay of these messages would be about.
pub(crate) async fn preview(
    pool: &PgPool,
    filter: &FailedMessageFilter,
) -> Result<ReplayPreview<Word>, StoreError> {
    let filter = open(filter);
    let totals = sqlx::query_as_with::<_, Totals, _>(
        concat!(
            "SELECT coalesce(sum(messages), 0)::bigint AS matching, count(order_id) AS orders,
                    coalesce(sum(amount) FILTER (WHERE order_id IS NOT NULL), 0) AS money
             FROM (SELECT order_id, count(*) AS messages, max(amount) AS amount FROM failed_messages WHERE ",
            matches_filter!(),
            " AND ",
            is_in_no_replay!(),
            " GROUP BY order_id) AS of_order"
        ),
        arguments(&filter)?,
    );
    let Totals { matching, orders, money } = totals.fetch_one(pool).await?;
    let sample = sqlx::query_as_with::<_, Row, _>(
        concat!(
            "SELECT id, queue, exchange, routing_key, status, reason, attempts, first_seen, last_seen,
                    event_type, message_id, correlation_id, trace_context, cause, order_id, amount
             FROM failed_messages WHERE ",
            matches_filter!(),
            " AND ",
            is_in_no_replay!(),
            " ORDER BY first_seen, id LIMIT $8"
        ),
        arguments(&filter)?,
    );
    let sample = sample.bind(SAMPLE).fetch_all(pool).await?;
    let sample = sample.into_iter().map(messages::shown).collect();
    Ok(ReplayPreview { matching: matching.unsigned_abs(), orders: orders.unsigned_abs(), money, sample })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wave_is_empty() {
        let ends = last_of_waves(&[1, 10, 100]);
        assert_eq!(ends, [1, 11, 111]);
        for (members, expected) in [(1, 1), (2, 2), (11, 2), (12, 3), (111, 3), (112, 4), (1_000_000, 4)] {
            assert_eq!(waves(&ends, members), expected, "{members}");
        }
        assert_eq!(waves(&last_of_waves(&[]), 7), 1);
    }
}
