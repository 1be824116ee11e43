//! Small charts of the last hour, drawn as SVG.

use std::collections::BTreeMap;

use contracts::Timestamp;
use maud::{Markup, html};

/// What one point stands for, in seconds.
const POINT: i64 = 30;

/// How many points an hour has.
const WIDTH: i64 = 3600 / POINT;
const HEIGHT: f64 = 40.0;

/// A line of one value, the largest of each half minute. Where there is no sample, or none of this value, the line has a gap.
pub(super) fn sparkline(label: &str, now: Timestamp, points: &[(Timestamp, Option<f64>)]) -> Markup {
    let most = points.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max);
    let described = format!("{label} in the last hour, at most {}", short(most));
    let paths = segments(now, points, if most > 0.0 { most } else { 1.0 });
    html! {
        svg.sparkline viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(described) {
            @for path in paths {
                polyline points=(path) fill="none" vector-effect="non-scaling-stroke" {}
            }
        }
    }
}

/// The line's parts between its gaps.
fn segments(now: Timestamp, points: &[(Timestamp, Option<f64>)], most: f64) -> Vec<String> {
    // Half minutes by the calendar, so that the line stays the same for as long.
    let place = |at: Timestamp| at.as_datetime().unix_timestamp() / POINT;
    let last = place(now);
    let mut largest: BTreeMap<i64, f64> = BTreeMap::new();
    for (at, value) in points {
        let x = WIDTH - (last - place(*at));
        if let Some(value) = value.filter(|_| (0..=WIDTH).contains(&x)) {
            largest.entry(x).and_modify(|known| *known = known.max(value)).or_insert(value);
        }
    }
    let mut segments: Vec<String> = Vec::new();
    let mut before = None;
    for (x, value) in largest {
        let point = format!("{x},{:.0}", HEIGHT - 1.0 - value / most * (HEIGHT - 2.0));
        match segments.last_mut().filter(|_| before == Some(x - 1)) {
            Some(segment) => {
                segment.push(' ');
                segment.push_str(&point);
            }
            None => segments.push(point),
        }
        before = Some(x);
    }
    segments
}

/// A number in few digits.
pub(super) fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_has_gaps_where_nothing_was_counted() {
        let start: Timestamp = "2026-01-02T03:04:00Z".parse().unwrap();
        let at = |number: u64| start + Duration::from_secs(10 * number);
        let points =
            [(at(0), Some(1.0)), (at(1), Some(2.0)), (at(3), Some(1.0)), (at(6), None), (at(9), Some(0.0))];
        let parts = segments(at(30), &points, 2.0);
        assert_eq!(parts, ["110,1 111,20", "113,39"]);
        assert_eq!(segments(at(31), &points, 2.0), parts, "it stays for half a minute");
        assert_eq!(segments(at(33), &points, 2.0)[0], "109,1 110,20");
    }
}
