//! Deletes what has been kept for long enough, in small batches beside the saga.
//!
//! ```text
//! RETENTION_* → policies → pass: look at the oldest, delete what may go, pause, go on behind it ─→ next pass in some hours
//!                           ↑ paysaga prune
//! ```
//!
//! Everything that paysaga ever deletes but messages that were published and samples of more than an hour ago is in `records.rs`; what is not there stays. It
//! is here, rather than with the services whose tables they are, because the operator's command runs the same.

mod pass;
mod records;

use std::time::Duration;

use sqlx::PgPool;
use tracing::{info, warn};

pub use pass::{Mode, pass};
pub use records::Records;

use crate::config::{Problems, Setting};
use crate::tasks::Tasks;

/// How often what has become old enough is looked for.
const INTERVAL: Duration = Duration::from_hours(6);

/// The shortest time for which anything can be kept: a number of milliseconds, where days were meant, is a mistake.
const SHORTEST: Duration = Duration::from_hours(1);

crate::variables! {
    /// How long what a service needs no more is kept.
    pub struct RetentionVariables {
        /// How long failed messages that were replayed or discarded are kept (such as `90d`); what operators did about them stays. Without end unless set.
        retention_failed_messages,
    }
}

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which.
    pub records: Records,
    /// For how long after they were last needed.
    pub keep: Duration,
}

/// Reads how long records are kept. `Some(None)` is without end.
pub fn keep(setting: Setting<'_>, problems: &mut Problems) -> Option<Option<Duration>> {
    setting.optional(problems, parse)
}

/// Reads a time such as `90d`, from an hour on.
pub fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= SHORTEST => Ok(time),
        _ => Err("must be a time of an hour or more, such as 90d or 48h".to_owned()),
    }
}

/// Deletes what the policies allow, every few hours. With no policies it does nothing.
pub(crate) fn start(pool: PgPool, policies: Vec<Policy>, tasks: &Tasks) {
    if policies.is_empty() {
        return;
    }
    let stopping = tasks.stopping();
    tasks.spawn_every(INTERVAL, "retention", move || {
        let (pool, policies, stopping) = (pool.clone(), policies.clone(), stopping.clone());
        async move {
            for policy in policies {
                let records = policy.records.name();
                match pass(&pool, policy, Mode::Delete, &stopping).await {
                    Ok(0) => {}
                    Ok(rows) => info!(records, rows, "{rows} {records} were deleted: they were kept for long enough"),
                    Err(error) => warn!(records, %error, "old {records} can't be deleted now; the next pass tries again"),
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_deletes_nothing() {
        assert_eq!(parse("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(parse("1h"), Ok(SHORTEST));
        for mistaken in ["90", "59m", "0d", "soon", ""] {
            assert!(parse(mistaken).is_err(), "{mistaken}");
        }
    }
}
