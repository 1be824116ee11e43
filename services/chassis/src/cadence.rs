//! How far apart batches begin.
//!
//! A batch of two costs nearly as much as one of twenty: the same round trips, the same commit. So work that arrives faster
//! than one by one is gathered for a moment. What arrives alone never waits.

use std::time::{Duration, Instant};

/// How far apart batches begin that an order waits for.
const PROMPT: Duration = Duration::from_millis(30);

/// How far apart batches begin that no order waits for.
const RELAXED: Duration = Duration::from_millis(200);

/// Within how long all of a batch arrives that was sent as one.
const SPREAD: Duration = Duration::from_millis(2);

/// When the last batch began, and whether it was worth gathering.
#[derive(Clone, Debug)]
pub struct Cadence {
    interval: Duration,
    /// None after a batch of one.
    last: Option<Instant>,
}

impl Cadence {
    /// For work that an order waits for.
    #[must_use]
    pub const fn prompt() -> Self {
        Self { interval: PROMPT, last: None }
    }

    /// For work beside the saga.
    #[must_use]
    pub const fn relaxed() -> Self {
        Self { interval: RELAXED, last: None }
    }

    /// How long to gather what arrives beside the first piece of a batch, which is there now; `None` if it came alone.
    #[must_use]
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| (last + self.interval).saturating_duration_since(now).max(SPREAD))
    }

    /// Notes that a batch of so many begins.
    pub fn begin(&mut self, count: usize, now: Instant) {
        self.last = (count > 1).then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_arrives_together_is_gathered() {
        let (mut cadence, now) = (Cadence::prompt(), Instant::now());
        assert_eq!(cadence.pause(now), None);
        cadence.begin(1, now);
        assert_eq!(cadence.pause(now), None);
        cadence.begin(2, now);
        assert_eq!(cadence.pause(now), Some(PROMPT));
        assert_eq!(cadence.pause(now + PROMPT), Some(SPREAD));
    }
}
