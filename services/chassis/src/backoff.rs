//! How long to wait before trying again.

use std::ops::RangeInclusive;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Exponential delays with jitter, without end: replicas that lost the same broker don't come back in step.
pub struct Backoff {
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    /// Delays within `range`, each about twice the one before.
    fn within(range: RangeInclusive<Duration>) -> Self {
        let (min, max) = range.into_inner();
        let builder = ExponentialBuilder::default()
            .with_min_delay(min)
            .with_max_delay(max)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        Self { builder, delays: builder.build(), max }
    }

    /// For an unavailable database or broker: 100 ms to 5 s.
    #[must_use]
    pub fn for_infrastructure() -> Self {
        Self::within(Duration::from_millis(100)..=Duration::from_secs(5))
    }

    /// For another service of paysaga, which clients wait for: 50 ms to 1 s.
    #[must_use]
    pub fn for_service() -> Self {
        Self::within(Duration::from_millis(50)..=Duration::from_secs(1))
    }

    /// For a transaction that met a deadlock or a lock timeout: 20 ms to 1 s.
    pub(crate) fn for_collision() -> Self {
        Self::within(Duration::from_millis(20)..=Duration::from_secs(1))
    }

    /// Waits for the next delay.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    /// Starts from the shortest delay again, after a success.
    pub fn reset(&mut self) {
        self.delays = self.builder.build();
    }

    fn next(&mut self) -> Duration {
        // The jitter adds up to one more delay; the promise is `max`.
        self.delays.next().unwrap_or(self.max).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_their_maximum_and_never_end() {
        let mut backoff = Backoff::within(Duration::from_millis(100)..=Duration::from_secs(1));
        let delays: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(delays[0] >= Duration::from_millis(100) && delays[0] <= Duration::from_millis(200));
        assert!(delays[10..].iter().all(|delay| *delay == Duration::from_secs(1)));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(200));
    }
}
