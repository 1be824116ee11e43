//! Why commands are not accepted, in the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chassis::broker::PublishError;
use tracing::{debug, warn};

/// A line for every refused command would drown everything else in the log.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says why the broker takes no commands, every ten seconds at most.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Mutex<Option<Instant>>,
}

impl Complaint {
    /// Takes note of a command that was not accepted.
    pub(crate) fn about(&self, error: &PublishError) {
        debug!(%error, "command not accepted");
        // The connection says by itself when it is lost, and when it is back.
        if !matches!(error, PublishError::Unavailable(_)) && self.is_due(Instant::now()) {
            warn!(%error, "the broker takes no commands");
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_every_ten_seconds() {
        let (complaint, start) = (Complaint::default(), Instant::now());
        let after = |seconds| complaint.is_due(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 9, 10, 11, 20].map(after), [true, false, false, true, false, true]);
    }
}
