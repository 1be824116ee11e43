//! Open failures by cause.

use std::collections::HashMap;

use contracts::replay::FailureCause;
use contracts::{MoneyTotal, Timestamp};
use sqlx::{FromRow, PgPool};

use crate::database::StoreError;

/// Hours that a trend goes back.
const HOURS: usize = 24;

/// What is older counts as so many hours ago.
const HOURS_AGO: f64 = 24.0;

#[derive(FromRow)]
struct Row {
    cause: String,
    queue: String,
    event_type: Option<String>,
    open: i64,
    orders: i64,
    money: MoneyTotal,
    first_seen: Timestamp,
    last_seen: Timestamp,
    sample: Option<String>,
}

/// Of a cause: how many of its messages failed last in one hour, and how many of those since its last replay began. Before the trend
/// begins, it is as if all were one hour.
#[derive(FromRow)]
struct Hour {
    cause: String,
    queue: String,
    event_type: Option<String>,
    /// How many hours ago.
    ago: i64,
    failed: i64,
    new: i64,
}

/// The causes, the one with the most messages first. They take a while where there are many messages.
pub(crate) async fn causes(pool: &PgPool) -> Result<Vec<FailureCause>, StoreError> {
    let rows = sqlx::query_as::<_, Row>(
        "WITH of_orders AS (
             SELECT cause, queue, event_type, order_id, count(*) AS open, max(amount) AS amount,
                    min(first_seen) AS first_seen, max(last_seen) AS last_seen
             FROM open_failures GROUP BY cause, queue, event_type, order_id
         ), causes AS (
             SELECT cause, queue, event_type, sum(open)::bigint AS open, count(order_id) AS orders,
                    coalesce(sum(amount) FILTER (WHERE order_id IS NOT NULL), 0) AS money,
                    min(first_seen) AS first_seen, max(last_seen) AS last_seen
             FROM of_orders GROUP BY cause, queue, event_type
             ORDER BY open DESC, cause, queue, event_type LIMIT 100
         )
         SELECT cause, queue, event_type, open, orders, money, first_seen, last_seen,
                (SELECT reason FROM failed_messages
                 WHERE status = 'FAILED' AND failed_messages.cause = causes.cause AND failed_messages.queue = causes.queue
                   AND failed_messages.event_type IS NOT DISTINCT FROM causes.event_type
                 ORDER BY failed_messages.last_seen DESC
                 LIMIT 1) AS sample
         FROM causes ORDER BY open DESC, cause, queue, event_type",
    );
    let rows = rows.fetch_all(pool).await?;
    let causes: Vec<_> = rows.iter().map(|row| row.cause.as_str()).collect();
    let queues: Vec<_> = rows.iter().map(|row| row.queue.as_str()).collect();
    let event_types: Vec<_> = rows.iter().map(|row| row.event_type.as_deref()).collect();
    let hours = sqlx::query_as::<_, Hour>(
        "SELECT cause, queue, event_type, ago, count(*) AS failed,
                count(*) FILTER (WHERE last_seen >= coalesce(began, '-infinity')) AS new
         FROM (SELECT failure.cause, failure.queue, failure.event_type, last_seen, began,
                      least(greatest(floor(extract(epoch FROM now() - last_seen)::float8 / 3600), 0), $4::float8)::bigint AS ago
               FROM UNNEST($1::text[], $2::text[], $3::text[]) AS shown (cause, queue, event_type)
               JOIN open_failures AS failure
                 ON failure.cause = shown.cause AND failure.queue = shown.queue
                    AND failure.event_type IS NOT DISTINCT FROM shown.event_type
               LEFT JOIN (SELECT of_replay.cause, of_replay.queue, of_replay.event_type, max(created_at) AS began
                          FROM replays, jsonb_to_recordset(causes) AS of_replay (cause text, queue text, event_type text)
                          GROUP BY of_replay.cause, of_replay.queue, of_replay.event_type) AS replayed
                 ON replayed.cause = failure.cause AND replayed.queue = failure.queue
                    AND replayed.event_type IS NOT DISTINCT FROM failure.event_type) AS failed
         GROUP BY cause, queue, event_type, ago",
    )
    .bind(causes)
    .bind(queues)
    .bind(event_types)
    .bind(HOURS_AGO);
    let mut trends: HashMap<_, (Vec<u64>, u64)> = HashMap::new();
    for Hour { cause, queue, event_type, ago, failed, new } in hours.fetch_all(pool).await? {
        let (trend, all_new) =
            trends.entry((cause, queue, event_type)).or_insert_with(|| (vec![0; HOURS], 0));
        *all_new += new.unsigned_abs();
        let ago = usize::try_from(ago).unwrap_or(HOURS);
        if let Some(hour) = HOURS.checked_sub(ago + 1).and_then(|hour| trend.get_mut(hour)) {
            *hour += failed.unsigned_abs();
        }
    }
    let cause = |row: Row| {
        let key = (row.cause, row.queue, row.event_type);
        let (trend, new) = trends.remove(&key).unwrap_or_else(|| (vec![0; HOURS], 0));
        let (cause, queue, event_type) = key;
        FailureCause {
            sample: row.sample.unwrap_or_else(|| cause.clone()),
            cause,
            queue,
            event_type,
            open: row.open.unsigned_abs(),
            new,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            trend,
            orders: row.orders.unsigned_abs(),
            money: row.money,
        }
    };
    Ok(rows.into_iter().map(cause).collect())
}
