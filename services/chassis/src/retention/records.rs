//! What may be deleted, and when.
//!
//! Each statement looks at a batch of rows from the oldest on and deletes those of them that may go. Rows are found by an
//! index on their time. `FETCH FIRST … WITH TIES` ends a batch between two times, so the next begins behind its last.

use std::time::Duration;

use contracts::topology::Service;
use sqlx::postgres::PgArguments;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection, Postgres, query::QueryAs};
use strum::VariantArray;

use crate::database::StoreError;

/// Records that may be deleted after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub enum Records {
    /// The timelines of orders that have settled.
    TimelineEntries,
    /// Failed messages that were replayed or discarded. What operators did about them stays.
    FailedMessages,
    /// Replays that have ended, with what became of their messages and what was decided about them.
    Replays,
    /// Reasons of rejections whose messages never came out of their dead-letter queue.
    Rejections,
    /// The simulated provider's charges that hold no money and never will.
    SimulatedCharges,
}

/// The rows that a batch looks at.
pub(super) struct Range {
    /// Only what is older.
    pub(super) keep: Duration,
    /// Only what is later.
    pub(super) after: OffsetDateTime,
    /// So many rows, and those of the same time as the last.
    pub(super) limit: i64,
}

/// What a batch came to.
#[derive(FromRow)]
pub(super) struct Batch {
    /// The time of the last row that was looked at; `None` if there was none.
    pub(super) last: Option<OffsetDateTime>,
    /// Rows that may go.
    pub(super) rows: i64,
}

/// A statement that looks at a batch. `$1`, `$2` and `$3` are its [`Range`], `$4` is whether to delete.
type Statement = QueryAs<'static, Postgres, Batch, PgArguments>;

impl Records {
    /// In words, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TimelineEntries => "timeline entries",
            Self::FailedMessages => "failed messages",
            Self::Replays => "replays",
            Self::Rejections => "reasons of rejections",
            Self::SimulatedCharges => "simulated charges",
        }
    }

    /// The services that have such records.
    #[must_use]
    pub const fn services(self) -> &'static [Service] {
        match self {
            Self::TimelineEntries => &[Service::Order],
            Self::FailedMessages | Self::Replays | Self::Rejections => &Service::WITH_DATABASE,
            Self::SimulatedCharges => &[Service::Payment],
        }
    }

    /// Looks at a batch of rows; deletes those that may go, if `delete` says so.
    pub(super) async fn prune(
        self,
        connection: &mut PgConnection,
        range: Range,
        delete: bool,
    ) -> Result<Batch, StoreError> {
        let statement = match self {
            Self::TimelineEntries => timeline_entries(),
            Self::FailedMessages => failed_messages(),
            Self::Replays => replays(),
            Self::Rejections => rejections(),
            Self::SimulatedCharges => simulated_charges(),
        };
        let Range { keep, after, limit } = range;
        Ok(statement.bind(keep).bind(after).bind(limit).bind(delete).fetch_one(connection).await?)
    }
}

/// Of an order that is not final, or changed since, everything stays. Of one that does not exist (a cancellation came before it)
/// nothing is needed: the table `early_cancellations` remembers it.
fn timeline_entries() -> Statement {
    sqlx::query_as::<_, Batch>(
        "WITH old AS (
             SELECT order_id, event_id, recorded_at FROM order_events
             WHERE recorded_at > $2 AND recorded_at < now() - $1::interval
             ORDER BY recorded_at FETCH FIRST ($3) ROWS WITH TIES
         ), unneeded AS (
             SELECT order_id, event_id FROM old
             WHERE NOT EXISTS (SELECT FROM orders
                               WHERE id = order_id
                                 AND (status NOT IN ('PAID', 'CANCELLED', 'FAILED') OR updated_at >= now() - $1::interval))
         ), deleted AS (
             DELETE FROM order_events USING unneeded
             WHERE $4 AND order_events.order_id = unneeded.order_id AND order_events.event_id = unneeded.event_id
         )
         SELECT (SELECT max(recorded_at) FROM old) AS last, (SELECT count(*) FROM unneeded) AS rows",
    )
}

/// What waits for a decision, or is being replayed, stays however old it is. The age is that of the last decision.
fn failed_messages() -> Statement {
    // Locked before they are judged: a replay that an operator asks for meanwhile is not deleted.
    sqlx::query_as::<_, Batch>(
        "WITH old AS (
             SELECT id, last_seen FROM failed_messages
             WHERE last_seen > $2 AND last_seen < now() - $1::interval
             ORDER BY last_seen FETCH FIRST ($3) ROWS WITH TIES
         ), unneeded AS (
             SELECT failed_messages.id FROM failed_messages JOIN old USING (id)
             WHERE status IN ('REPLAYED', 'DISCARDED')
               AND NOT EXISTS (SELECT FROM failed_message_audit
                               WHERE failed_message_id = failed_messages.id AND at >= now() - $1::interval)
             FOR UPDATE OF failed_messages SKIP LOCKED
         ), deleted AS (
             DELETE FROM failed_messages USING unneeded WHERE $4 AND failed_messages.id = unneeded.id
         )
         SELECT (SELECT max(last_seen) FROM old) AS last, (SELECT count(*) FROM unneeded) AS rows",
    )
}

/// A replay may have very many members, so a batch looks at one replay at a time, deletes a part of its members, and looks at it
/// again until it has none; then the replay goes.
fn replays() -> Statement {
    sqlx::query_as::<_, Batch>(
        "WITH old AS (
             SELECT id, created_at, finished_at FROM replays
             WHERE created_at > $2 AND created_at < now() - $1::interval
             ORDER BY created_at FETCH FIRST (least($3, 1)) ROWS WITH TIES
         ), unneeded AS (
             SELECT id FROM old WHERE finished_at < now() - $1::interval
         ), part AS (
             SELECT replay_id, position FROM replay_members JOIN unneeded ON replay_id = unneeded.id WHERE $4 LIMIT $3
         ), members AS (
             DELETE FROM replay_members USING part
             WHERE replay_members.replay_id = part.replay_id AND replay_members.position = part.position
         ), emptied AS (
             SELECT id FROM unneeded WHERE (SELECT count(*) FROM part) < $3
         ), decisions AS (
             DELETE FROM replay_decisions USING emptied WHERE $4 AND replay_id = emptied.id
         ), deleted AS (
             DELETE FROM replays USING emptied WHERE $4 AND replays.id = emptied.id
         )
         SELECT CASE WHEN (SELECT count(*) FROM part) < $3 THEN (SELECT max(created_at) FROM old) ELSE $2 END AS last,
                (SELECT count(*) FROM emptied) AS rows",
    )
}

/// The table is nearly empty at all times, and has no index on the time.
fn rejections() -> Statement {
    sqlx::query_as::<_, Batch>(
        "WITH old AS (
             SELECT failed_message_id, rejected_at FROM rejections
             WHERE rejected_at > $2 AND rejected_at < now() - $1::interval
             ORDER BY rejected_at FETCH FIRST ($3) ROWS WITH TIES
         ), deleted AS (
             DELETE FROM rejections USING old
             WHERE $4 AND rejections.failed_message_id = old.failed_message_id AND rejections.rejected_at = old.rejected_at
         )
         SELECT max(rejected_at) AS last, count(*) AS rows FROM old",
    )
}

/// An approved charge stays as long as it may have to be refunded, and a charge of a payment that has not come to its end may
/// still be looked up. From when on charges are missing is written down for the auditor.
fn simulated_charges() -> Statement {
    sqlx::query_as::<_, Batch>(
        "WITH old AS (
             SELECT id, status, next_step, created_at, updated_at FROM payments
             WHERE created_at > $2 AND created_at < now() - $1::interval
             ORDER BY created_at FETCH FIRST ($3) ROWS WITH TIES
         ), unneeded AS (
             SELECT payment_id FROM provider_simulator.charges JOIN old ON payment_id = old.id
             WHERE status IN ('DECLINED', 'FAILED', 'CANCELLED', 'REFUNDED') AND next_step IS NULL
               AND updated_at < now() - $1::interval
               AND (outcome <> 'APPROVED' OR refunded_at IS NOT NULL)
         ), noted AS (
             INSERT INTO provider_simulator.forgotten AS known (before)
             SELECT now() - $1::interval WHERE $4 AND EXISTS (SELECT FROM unneeded)
             ON CONFLICT (one) DO UPDATE SET before = greatest(known.before, excluded.before)
         ), deleted AS (
             DELETE FROM provider_simulator.charges USING unneeded
             WHERE $4 AND charges.payment_id = unneeded.payment_id
         )
         SELECT (SELECT max(created_at) FROM old) AS last, (SELECT count(*) FROM unneeded) AS rows",
    )
}
