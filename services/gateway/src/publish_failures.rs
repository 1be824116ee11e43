//! The log of commands that can't be published.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chassis::broker::PublishError;
use tracing::{debug, warn};

/// The shortest time between two warnings. One for each refused command would bury everything else in the log.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs why commands can't be published, at a limited rate.
#[derive(Debug, Default)]
pub(crate) struct PublishFailureLog {
    last_warning: Mutex<Option<Instant>>,
}

impl PublishFailureLog {
    /// Logs the error of one command.
    pub(crate) fn record(&self, error: &PublishError) {
        debug!(%error, "a command could not be published");
        // A lost connection is logged by the connection itself.
        if !matches!(error, PublishError::Unavailable(_)) && self.is_warning_due(Instant::now()) {
            warn!(%error, "commands can't be published: the broker does not accept messages");
        }
    }

    fn is_warning_due(&self, now: Instant) -> bool {
        let mut last = self.last_warning.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn a_warning_is_due_at_once_and_then_every_ten_seconds() {
        let (log, start) = (PublishFailureLog::default(), Instant::now());
        let after = |seconds| log.is_warning_due(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 9, 10, 11, 20].map(after), [true, false, false, true, false, true]);
    }
}
