//! Percentiles of the times of many requests.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Percentiles of the times of many requests, in milliseconds in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latencies {
    /// Half of them are not longer.
    #[serde(rename = "medianMs", serialize_with = "milliseconds")]
    pub median: Duration,
    /// 95 of 100 are not longer.
    #[serde(rename = "p95Ms", serialize_with = "milliseconds")]
    pub p95: Duration,
    /// 99 of 100 are not longer.
    #[serde(rename = "p99Ms", serialize_with = "milliseconds")]
    pub p99: Duration,
    /// The longest.
    #[serde(rename = "maxMs", serialize_with = "milliseconds")]
    pub max: Duration,
}

impl Latencies {
    /// The percentiles of these times; zero for none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let percentile = |percent: usize| {
            // Nearest rank: the smallest time that `percent` of 100 don't exceed.
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { median: percentile(50), p95: percentile(95), p99: percentile(99), max: percentile(100) }
    }
}

/// A time for a table.
pub(super) fn show(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.1} ms") } else { format!("{milliseconds:.0} ms") }
}

/// Milliseconds, to the microsecond.
pub(super) fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1_000_000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl Iterator<Item = u64>) -> [u128; 4] {
        let Latencies { median, p95, p99, max } = Latencies::of(times.map(Duration::from_millis).collect());
        [median, p95, p99, max].map(|time| time.as_millis())
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        assert_eq!(of((1..=100).rev()), [50, 95, 99, 100]);
        assert_eq!(of(1..=10), [5, 10, 10, 10]);
        assert_eq!(of([7].into_iter()), [7; 4]);
        assert_eq!(of(std::iter::empty()), [0; 4]);
    }

    #[test]
    fn milliseconds_keep_their_fraction() {
        let latencies = Latencies::of(vec![Duration::from_nanos(1_234_567)]);
        assert!(serde_json::to_string(&latencies).unwrap().starts_with(r#"{"medianMs":1.235,"#));
    }
}
