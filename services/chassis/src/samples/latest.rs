//! What a gauge showed last.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it holds: longer than gauges that take their time pause between two looks.
const VALID: Duration = Duration::from_secs(30);

/// The last measure of a gauge.
#[derive(Debug, Default)]
pub struct Latest(Mutex<Option<(Instant, u64)>>);

impl Latest {
    /// Nothing was measured yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Notes a measure.
    pub fn set(&self, measure: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), measure));
    }

    /// The last measure; `None` if there was none in the last half minute.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|(at, _)| at.elapsed() < VALID).map(|(_, measure)| measure)
    }
}
