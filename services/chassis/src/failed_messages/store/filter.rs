//! Which failed messages a statement is about.

use contracts::failed_message::FailedMessageFilter;
use sqlx::Arguments;
use sqlx::postgres::PgArguments;

use crate::database::StoreError;

/// The condition that a filter means, with the parameters that [`arguments`] gives.
macro_rules! matches_filter {
    () => {
        "($1::text IS NULL OR queue = $1)
         AND ($2::text IS NULL OR event_type = $2)
         AND ($3::text IS NULL OR strpos(lower(reason), lower($3)) > 0)
         AND ($4::text IS NULL OR status = $4)
         AND ($5::timestamptz IS NULL OR last_seen >= $5)
         AND ($6::timestamptz IS NULL OR last_seen < $6)"
    };
}

pub(super) use matches_filter;

/// The first parameters of a statement that holds [`matches_filter!`].
pub(super) fn arguments(filter: &FailedMessageFilter) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    let added = arguments
        .add(&filter.queue)
        .and_then(|()| arguments.add(&filter.event_type))
        .and_then(|()| arguments.add(&filter.reason))
        .and_then(|()| arguments.add(filter.status))
        .and_then(|()| arguments.add(filter.from))
        .and_then(|()| arguments.add(filter.to));
    added.map_err(StoreError::Encoding)?;
    Ok(arguments)
}
