//! An hour as a line of blocks.

use std::time::Duration;

use contracts::Timestamp;
use contracts::overview::{MAX_SAMPLES, SAMPLE_SECONDS};

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Where nothing was measured.
const GAP: char = '·';

/// What was measured in each ten seconds of an hour, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History(Vec<Option<u64>>);

impl History {
    /// Puts measures at their times. The last one is the end of the hour.
    pub(super) fn of(measures: impl DoubleEndedIterator<Item = (Timestamp, Option<u64>)>) -> Self {
        let mut newest = measures.rev().peekable();
        let Some((mut at, _)) = newest.peek().copied() else { return Self(vec![None; MAX_SAMPLES]) };
        let mut slots = Vec::with_capacity(MAX_SAMPLES);
        while slots.len() < MAX_SAMPLES {
            let here = newest.next_if(|(began, _)| *began >= at);
            slots.push(here.and_then(|(_, measure)| measure));
            let Some(earlier) = at.checked_sub(Duration::from_secs(SAMPLE_SECONDS.into())) else { break };
            at = earlier;
        }
        slots.reverse();
        Self(slots)
    }

    /// The hour in so many columns: the highest of each, from nothing to the highest of all.
    pub(super) fn line(&self, columns: usize) -> String {
        let highest = self.0.iter().flatten().copied().max().unwrap_or_default().max(1);
        let columns = columns.min(self.0.len());
        let column = |index: usize| {
            let (from, to) = (index * self.0.len() / columns, (index + 1) * self.0.len() / columns);
            let measure = self.0[from..to].iter().flatten().max();
            measure.map_or(GAP, |measure| block(*measure, highest))
        };
        (0..columns).map(column).collect()
    }
}

/// What is there shows, however little it is.
fn block(measure: u64, highest: u64) -> char {
    let eighths = u128::from(measure) * 7;
    let height = eighths.div_ceil(u128::from(highest).max(1));
    BLOCKS[usize::try_from(height).unwrap_or(7).min(7)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(measures: &[(u64, Option<u64>)]) -> History {
        let start: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        let at = |(second, measure): &(u64, Option<u64>)| (start + Duration::from_secs(*second), *measure);
        History::of(measures.iter().map(at))
    }

    #[test]
    fn what_was_not_measured_is_a_gap_and_what_is_there_shows() {
        let hour = history(&[(0, Some(1)), (10, Some(0)), (30, Some(700)), (40, None), (50, Some(350))]);
        let line = hour.line(MAX_SAMPLES);
        assert_eq!(line.chars().count(), MAX_SAMPLES);
        assert!(line.ends_with("··▂▁·█·▅"), "{line}");
    }

    #[test]
    fn an_hour_fits_into_a_few_columns_and_no_peak_is_lost() {
        let mut measures: Vec<_> = (0..360).map(|slot| (10 * slot, Some(10))).collect();
        measures[180].1 = Some(70);
        assert_eq!(history(&measures).line(6), "▂▂▂█▂▂");
        assert_eq!(history(&measures).line(0), "");
        assert_eq!(history(&[]).line(3), "···");
    }
}
