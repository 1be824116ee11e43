//! A circuit breaker in front of the provider: one that does not answer is not called for a while.
//!
//! ```text
//! closed ── TRIP_AFTER calls in a row without an answer ──→ open ── its pause is over ──→ half open: one call
//!    ↑                                                        ↑ without an answer, twice the pause ──┤
//!    └──────────────────────────────────────────────── an answer ─────────────────────────────────┘
//! ```

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::telemetry::METER;
use opentelemetry::metrics::Gauge;
use tracing::{info, warn};

use crate::samples;

/// Calls in a row without an answer that open the breaker.
const TRIP_AFTER: u32 = 10;

const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

static OPEN: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.provider.breaker_open")
        .with_description("1 while the payment provider is not called because it does not answer.")
        .build()
});

/// Decides how many calls the provider may get.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Closed,
    /// This many calls in a row brought no answer.
    Failing(u32),
    /// No call until then.
    Open { until: Instant, pause: Duration },
    /// One call was made, and its answer decides.
    HalfOpen { pause: Duration },
}

impl Breaker {
    /// A closed one, which the gauge shows from the start.
    pub(super) fn new() -> Self {
        show(false);
        Self::default()
    }

    /// How many of `wanted` calls may be made now.
    pub(super) fn allowance(&self, wanted: usize, now: Instant) -> usize {
        match *self.state() {
            State::Closed | State::Failing(_) => wanted,
            State::Open { until, .. } if now < until => 0,
            State::Open { .. } => wanted.min(1),
            State::HalfOpen { .. } => 0,
        }
    }

    /// Whether the provider answers, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed | State::Failing(_))
    }

    /// Records that a call is made. Each is followed by its being answered or not.
    pub(super) fn calling(&self, now: Instant) {
        let mut state = self.state();
        if let State::Open { until, pause } = *state
            && now >= until
        {
            *state = State::HalfOpen { pause };
        }
    }

    /// Records a call that was answered.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if let State::Open { .. } | State::HalfOpen { .. } = *state {
            info!("circuit breaker closed: the payment provider answers again");
            show(false);
        }
        *state = State::Closed;
    }

    /// Records a call that was not.
    pub(super) fn unanswered(&self, now: Instant) {
        let mut state = self.state();
        *state = match *state {
            State::Closed => State::Failing(1),
            State::Failing(calls) if calls + 1 < TRIP_AFTER => State::Failing(calls + 1),
            State::Failing(_) => {
                warn!(pause = ?FIRST_PAUSE, "circuit breaker opened: the payment provider does not answer");
                show(true);
                State::Open { until: now + FIRST_PAUSE, pause: FIRST_PAUSE }
            }
            // Calls that were under way when it opened say nothing new.
            State::Open { until, pause } if now < until => State::Open { until, pause },
            State::Open { pause, .. } | State::HalfOpen { pause } => {
                let pause = (pause * 2).min(LONGEST_PAUSE);
                State::Open { until: now + pause, pause }
            }
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show(open: bool) {
    OPEN.record(u64::from(open), &[]);
    samples::breaker_is_open(open);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_does_not_answer_gets_one_call_a_pause() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..TRIP_AFTER {
            assert_eq!(breaker.allowance(64, now), 64);
            breaker.unanswered(now);
        }
        assert_eq!(breaker.allowance(64, now), 0);
        let later = now + FIRST_PAUSE;
        assert_eq!(breaker.allowance(64, later), 1);
        breaker.calling(later);
        assert_eq!(breaker.allowance(64, later), 0, "the one call decides");
        breaker.unanswered(later);
        assert_eq!(breaker.allowance(64, later + FIRST_PAUSE), 0, "the pause has doubled");
        assert_eq!(breaker.allowance(64, later + 2 * FIRST_PAUSE), 1);
        breaker.answered();
        assert_eq!(breaker.allowance(64, later), 64);
    }

    #[test]
    fn an_answer_in_between_keeps_it_closed() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..10 {
            for _ in 1..TRIP_AFTER {
                breaker.unanswered(now);
            }
            breaker.answered();
        }
        assert_eq!(breaker.allowance(64, now), 64);
    }
}
