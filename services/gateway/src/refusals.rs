//! When a refusal is answered. Clients that send again without heeding `Retry-After` would otherwise take the machine's time from
//! those that are served.

use std::time::{Duration, Instant};

/// The refusals of those who share a pace.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// When the next one is answered.
    turn: Option<Instant>,
}

impl Refusals {
    /// How long the next refusal is held back, of which so many a second are answered at once, and any after `longest`.
    pub(crate) fn next(&mut self, now: Instant, per_second: u32, longest: Duration) -> Duration {
        // Unused turns of the last moments count.
        let earliest = now.checked_sub(longest).unwrap_or(now);
        let turn = self.turn.map_or(earliest, |turn| turn.clamp(earliest, now + longest));
        self.turn = Some(turn + Duration::from_secs(1) / per_second);
        turn.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_answered_at_once_until_there_are_too_many() {
        let (mut refusals, now, longest) = (Refusals::default(), Instant::now(), Duration::from_millis(250));
        let holds: Vec<_> = (0..1000).map(|_| refusals.next(now, 500, longest)).collect();
        assert!(holds[..120].iter().all(Duration::is_zero), "{:?}", &holds[..120]);
        assert!(holds[200] > Duration::from_millis(100) && holds[200] < Duration::from_millis(200));
        assert!(holds.iter().all(|hold| *hold <= longest + Duration::from_millis(10)));
    }
}
