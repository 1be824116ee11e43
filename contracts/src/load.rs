//! `GET /load` of the order and payment services: how the gateway learns how much it may let in.

use serde::{Deserialize, Serialize};

/// What waits in a service, all of its replicas taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Messages and steps that wait until the service has time for them. What waits for somebody else, such as a payment
    /// provider that is asked right now, is not counted.
    pub waiting: u64,
    /// How many of them it handles in a second; none if it has not handled any yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}

impl Load {
    /// The load of places that work passes one after the other: it waits in each of them, so the times add up. Where the
    /// pace is not known, the others' is taken.
    #[must_use]
    pub fn in_sequence(places: impl IntoIterator<Item = Self>) -> Self {
        let (mut waiting, mut measured, mut seconds) = (0, 0.0, 0.0);
        let mut slowest: Option<f64> = None;
        for place in places {
            waiting += place.waiting;
            if let Some(pace) = place.per_second.filter(|pace| *pace > 0.0) {
                #[expect(clippy::cast_precision_loss, reason = "far less waits")]
                let count = place.waiting as f64;
                measured += count;
                seconds += count / pace;
                slowest = Some(slowest.map_or(pace, |slowest| slowest.min(pace)));
            }
        }
        Self { waiting, per_second: if seconds > 0.0 { Some(measured / seconds) } else { slowest } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(waiting: u64, per_second: Option<f64>) -> Load {
        Load { waiting, per_second }
    }

    #[test]
    fn times_add_up() {
        // 1 s and 2 s.
        let both = [load(100, Some(100.0)), load(400, Some(200.0))];
        assert_eq!(Load::in_sequence(both), load(500, Some(500.0 / 3.0)));
        let with_unknown = both.into_iter().chain([load(50, None)]);
        assert_eq!(Load::in_sequence(with_unknown), load(550, Some(500.0 / 3.0)));
    }

    #[test]
    fn where_nothing_waits_the_slowest_place_counts() {
        let idle = [load(0, Some(100.0)), load(0, Some(50.0)), load(7, None)];
        assert_eq!(Load::in_sequence(idle), load(7, Some(50.0)));
        assert_eq!(Load::in_sequence([load(0, None)]), load(0, None));
    }
}
