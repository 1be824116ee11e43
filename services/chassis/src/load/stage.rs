//! A place in a service where work waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much work a pace is measured over: what was handled in the last second or so of being busy.
const MEMORY: Duration = Duration::from_secs(1);

/// A place where work waits until the service has time for it. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Stage(Arc<Inner>);

#[derive(Default)]
struct Inner {
    held: AtomicUsize,
    shared: AtomicUsize,
    pace: Mutex<Pace>,
}

/// How fast work goes while there is some. Idle times don't count.
#[derive(Clone, Copy, Default)]
struct Pace {
    handled: f64,
    busy: f64,
}

impl Stage {
    /// Reports what waits in this replica alone.
    pub fn holds(&self, count: usize) {
        self.0.held.store(count, Ordering::Relaxed);
    }

    /// Reports what waits where every replica sees it, such as in the database.
    pub fn shares(&self, count: usize) {
        self.0.shared.store(count, Ordering::Relaxed);
    }

    /// Reports that so much was handled within `took`.
    pub fn handled(&self, count: usize, took: Duration) {
        self.pace().record(count, took);
    }

    pub(super) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    pub(super) fn shared(&self) -> usize {
        self.0.shared.load(Ordering::Relaxed)
    }

    /// What this replica handles in a second while it is busy, if that is known.
    pub(super) fn per_second(&self) -> Option<f64> {
        let Pace { handled, busy } = *self.pace();
        (busy > 0.0).then(|| handled / busy)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn record(&mut self, count: usize, took: Duration) {
        let took = took.as_secs_f64();
        let kept = (-took / MEMORY.as_secs_f64()).exp();
        self.handled = self.handled * kept + f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.busy = self.busy * kept + took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_was_handled_last() {
        let stage = Stage::default();
        assert_eq!(stage.per_second(), None);
        let pace = || stage.per_second().unwrap().round();
        stage.handled(1, Duration::from_millis(5));
        assert!((199.0..=201.0).contains(&pace()), "{}", pace());
        for _ in 0..100 {
            stage.handled(100, Duration::from_millis(50));
        }
        assert!((1990.0..=2000.0).contains(&pace()), "{}", pace());
    }
}
