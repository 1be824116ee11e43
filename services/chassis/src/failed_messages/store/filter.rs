//! Which failed messages are meant.

use contracts::failed_message::FailedMessageFilter;
use sqlx::Arguments;
use sqlx::postgres::PgArguments;

use crate::database::StoreError;

/// The condition that a filter means, with the parameters that [`arguments`] gives.
macro_rules! matches_filter {
    () => {
        "($1::text IS NULL OR failed_messages.queue = $1)
         AND ($2::text IS NULL OR failed_messages.event_type = $2)
         AND ($3::text IS NULL OR strpos(lower(failed_messages.reason), lower($3)) > 0)
         AND ($4::text IS NULL OR failed_messages.status = $4)
         AND ($5::timestamptz IS NULL OR failed_messages.last_seen >= $5)
         AND ($6::timestamptz IS NULL OR failed_messages.last_seen < $6)
         AND ($7::text IS NULL OR failed_messages.cause = $7
              OR failed_messages.cause IS NULL AND failed_messages.reason = $7)"
    };
}

/// The condition that a message belongs to no replay that still has to handle it.
macro_rules! is_in_no_replay {
    () => {
        "NOT EXISTS (SELECT FROM replay_members AS open
                     WHERE open.failed_message_id = failed_messages.id AND open.outcome IS NULL)"
    };
}

pub(super) use {is_in_no_replay, matches_filter};

/// The first parameters of a statement that holds `matches_filter!`.
pub(super) fn arguments(filter: &FailedMessageFilter) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    let added = arguments
        .add(&filter.queue)
        .and_then(|()| arguments.add(&filter.event_type))
        .and_then(|()| arguments.add(&filter.reason))
        .and_then(|()| arguments.add(filter.status))
        .and_then(|()| arguments.add(filter.from))
        .and_then(|()| arguments.add(filter.to))
        .and_then(|()| arguments.add(&filter.cause));
    added.map_err(StoreError::Encoding)?;
    Ok(arguments)
}
