//! How long things took: counted in buckets that can be added up, as percentiles can't.
//!
//! A millisecond has a bucket of its own up to 15 ms. Beyond, each doubling is divided into eight buckets, so that the middle of a
//! bucket is at most 6 % away from anything in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets to a doubling, as a power of two.
const PRECISION: u32 = 3;

const PER_DOUBLING: usize = 1 << PRECISION;

/// The last bucket begins at 11 days; what took longer is in it too.
const BUCKETS: usize = PER_DOUBLING * 28;

/// The bucket of a duration.
fn bucket(took: Duration) -> usize {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let doublings = milliseconds.max(1).ilog2().saturating_sub(PRECISION);
    // Within its doubling, from the eighth bucket on.
    let within = usize::try_from(milliseconds >> doublings).unwrap_or(usize::MAX);
    (PER_DOUBLING * doublings as usize + within).min(BUCKETS - 1)
}

/// The middle of a bucket, in whole milliseconds.
fn middle(bucket: usize) -> u64 {
    let doublings = (bucket / PER_DOUBLING).saturating_sub(1);
    let first = (bucket - PER_DOUBLING * doublings) as u64;
    let width = 1_u64 << doublings;
    first * width + (width - 1) / 2
}

/// Counts how long things take. To count costs an addition.
#[derive(Debug)]
pub struct LatencyCounts([AtomicU64; BUCKETS]);

impl LatencyCounts {
    /// Nothing was counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }

    /// Counts one thing.
    pub fn record(&self, took: Duration) {
        self.0[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since the last time, bucket by bucket up to the last that is not empty.
    #[must_use]
    pub fn take(&self) -> Vec<i64> {
        let mut counts: Vec<_> = self.0.iter().map(taken).collect();
        let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        counts.truncate(used);
        counts
    }
}

impl Default for LatencyCounts {
    fn default() -> Self {
        Self::new()
    }
}

/// What was counted since the last time, as PostgreSQL stores it.
#[must_use]
pub fn taken(count: &AtomicU64) -> i64 {
    i64::try_from(count.swap(0, Ordering::Relaxed)).unwrap_or(i64::MAX)
}

/// Counts that were added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    /// Adds what [`LatencyCounts::take`] gave somewhere.
    pub fn add(&mut self, counts: &[i64]) {
        if self.0.len() < counts.len() {
            self.0.resize(counts.len(), 0);
        }
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum += count.unsigned_abs();
        }
    }

    /// So many in 100 took no longer than this, in milliseconds: exact up to 15 ms, and within 6 % beyond. `None` if there are none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let total: u64 = self.0.iter().sum();
        let wanted = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map(middle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_of_a_bucket_is_near_to_all_of_it() {
        let (mut last, mut milliseconds) = (0, 0_u64);
        while milliseconds < 100_000_000 {
            let bucket = bucket(Duration::from_millis(milliseconds));
            assert!((last..=last + 1).contains(&bucket), "{milliseconds} ms is in {bucket}, after {last}");
            let away = middle(bucket).abs_diff(milliseconds);
            assert!(away * 100 <= milliseconds * 7, "{milliseconds} ms is taken for {}", middle(bucket));
            last = bucket;
            milliseconds += 1 + milliseconds / 500;
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Latencies::default().percentile(50), None);
    }

    #[test]
    fn what_is_taken_is_not_taken_again() {
        let counts = LatencyCounts::new();
        counts.record(Duration::from_millis(2));
        assert_eq!(counts.take(), [0, 0, 1]);
        assert_eq!(counts.take(), [0_i64; 0]);
    }

    proptest! {
        #[test]
        fn percentiles_of_all_replicas_are_within_ten_percent(
            of_replicas in prop::collection::vec(prop::collection::vec(0_u64..1_000_000, 1..50), 1..4),
            percent in 1_u64..=100,
        ) {
            let mut all = Latencies::default();
            for times in &of_replicas {
                let counts = LatencyCounts::new();
                for time in times {
                    counts.record(Duration::from_millis(*time));
                }
                all.add(&counts.take());
            }
            let mut times = of_replicas.concat();
            times.sort_unstable();
            let place = (times.len() * usize::try_from(percent)?).div_ceil(100);
            let exact = times[place - 1];
            let found = all.percentile(percent).expect("there are some");
            prop_assert!(found.abs_diff(exact) * 10 <= exact, "{found} ms, and it is {exact} ms");
        }
    }
}
