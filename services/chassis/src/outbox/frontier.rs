//! Where the sweeper's passes begin.
//!
//! The ids of events rise with time (UUIDs of version 7), and published messages leave dead index entries behind. While a
//! snapshot is held, by a backup for instance, none of them can be removed: a pass from the beginning would walk over
//! all of them, twice a second.

use std::time::{Duration, Instant};

use contracts::{EventId, Timestamp};
use uuid::{Builder, Uuid};

use crate::tasks::pause_after;

/// How much older than what is left behind an event may be to be met by an ordinary pass: the time that its transaction
/// took to commit, and the difference between this machine's clock and another replica's.
const OVERLAP: Duration = Duration::from_secs(10);

/// How often a pass goes over all of the table, so that nothing is left out.
const INTERVAL: Duration = Duration::from_secs(5);

/// Where passes begin.
pub(super) struct Frontier {
    /// The first row that the last pass met.
    met: Option<EventId>,
    /// When a pass goes over all of the table again.
    whole_at: Instant,
    /// Whether this one does, and has not looked yet.
    is_whole: bool,
}

impl Frontier {
    pub(super) fn new() -> Self {
        Self { met: None, whole_at: Instant::now(), is_whole: false }
    }

    /// The id before the first row of the next pass, which is after messages that are `age` old.
    pub(super) fn begin(&mut self, age: Duration) -> EventId {
        let met = self.met.take();
        self.is_whole = Instant::now() >= self.whole_at;
        if self.is_whole {
            return Uuid::nil().into();
        }
        let recent = Timestamp::now().as_datetime() - (age + OVERLAP);
        let milliseconds = u64::try_from(recent.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let recent = Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid().into();
        met.map_or(recent, |met| just_before(met).min(recent))
    }

    /// Notes the first row that a pass met, if it met any.
    pub(super) fn meet(&mut self, first: EventId) {
        self.met.get_or_insert(first);
    }

    /// Notes how long the first look of a pass took.
    pub(super) fn looked(&mut self, elapsed: Duration) {
        if std::mem::take(&mut self.is_whole) {
            self.whole_at = Instant::now() + pause_after(elapsed, INTERVAL);
        }
    }
}

fn just_before(id: EventId) -> EventId {
    Uuid::from_u128(id.as_uuid().as_u128().saturating_sub(1)).into()
}
