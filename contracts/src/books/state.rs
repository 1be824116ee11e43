//! The state of the running check, which one gateway after the other carries on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Books, BooksVerdict, Disagreement, FullPass, MOST_DISAGREEMENTS, PassProgress};
use crate::feed::EventCursor;
use crate::{MoneyTotal, OrderId, Timestamp};

/// A check that has not come further for this long is held up.
const HELD_UP: Duration = Duration::from_mins(5);

/// Longest text of a disagreement that is kept, in characters: the state is sent with every look.
const LONGEST_TEXT: usize = 200;

/// What the running check knows. The order service keeps it for the gateways, and does not look into it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BooksState {
    /// Behind the last step whose order was compared after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<EventCursor>,
    /// What was recorded and committed until then was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_until: Option<Timestamp>,
    /// Orders that are compared again when they have had time to settle.
    pub in_flight: u64,
    /// The last full pass that came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<FullPass>,
    /// The full pass that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<PassState>,
    /// What does not fit, the latest first.
    pub disagreements: Vec<Disagreement>,
    /// How many were found for which there was no room; counted anew with each full pass.
    pub further: u64,
}

/// A full pass under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassState {
    /// When it began.
    pub started_at: Timestamp,
    /// The last order that was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<OrderId>,
    /// Orders that it has read, and payments without one.
    pub orders: u64,
    /// Those that were in flight.
    pub in_flight: u64,
    /// Rows of a newer version.
    pub newer_rows: u64,
    /// What the `PAID` orders come to so far.
    pub paid: MoneyTotal,
    /// What was charged and not given back so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<MoneyTotal>,
    /// Disagreements for which there was no room.
    pub further: u64,
}

impl PassState {
    /// A pass that begins now.
    #[must_use]
    pub const fn new(started_at: Timestamp) -> Self {
        let (paid, held) = (MoneyTotal::ZERO, Some(MoneyTotal::ZERO));
        Self { started_at, after: None, orders: 0, in_flight: 0, newer_rows: 0, paid, held, further: 0 }
    }
}

impl BooksState {
    /// Adds a disagreement, or replaces what is known about its order. Returns whether there was room.
    pub fn add(&mut self, mut found: Disagreement) -> bool {
        for text in [&mut found.order, &mut found.payment, &mut found.provider].into_iter().flatten() {
            shorten(text);
        }
        shorten(&mut found.what);
        if let Some(known) = self.disagreements.iter_mut().find(|known| known.order_id == found.order_id) {
            if (&known.invariant, &known.member) == (&found.invariant, &found.member) {
                found.since = known.since;
            }
            *known = found;
            return true;
        }
        let has_room = self.disagreements.len() < MOST_DISAGREEMENTS;
        if has_room {
            self.disagreements.insert(0, found);
        }
        has_room
    }

    /// Counts a disagreement for which there was no room. A pass under way counts it too: it counts anew what there was before it, and
    /// may have been past this order.
    pub fn count_further(&mut self) {
        self.further += 1;
        if let Some(pass) = &mut self.pass {
            pass.further += 1;
        }
    }

    /// Forgets what is known about an order, which agrees.
    pub fn remove(&mut self, order_id: OrderId) {
        self.disagreements.retain(|known| known.order_id != Some(order_id));
    }

    /// What operators see of it.
    #[must_use]
    pub fn books(self, now: Timestamp) -> Books {
        let disagreement_count = self.disagreements.len() as u64 + self.further;
        let is_held_up = self.compared_until.is_none_or(|until| {
            let behind = Duration::try_from(now.as_datetime() - until.as_datetime());
            behind.is_ok_and(|behind| behind > HELD_UP)
        });
        let verdict = match disagreement_count {
            1.. => BooksVerdict::Disagree,
            0 if is_held_up || self.last_pass.is_none() => BooksVerdict::Unknown,
            0 => BooksVerdict::Balanced,
        };
        Books {
            verdict,
            compared_until: self.compared_until,
            in_flight: self.in_flight,
            last_pass: self.last_pass,
            pass: self.pass.map(|pass| PassProgress { started_at: pass.started_at, orders: pass.orders }),
            disagreements: self.disagreements,
            disagreement_count,
        }
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(order_id: OrderId, member: &str) -> Disagreement {
        Disagreement {
            invariant: "pairs-agree".to_owned(),
            order_id: Some(order_id),
            member: member.to_owned(),
            order: None,
            payment: None,
            provider: None,
            what: "ä".repeat(1000),
            since: Timestamp::now(),
        }
    }

    #[test]
    fn an_order_is_kept_once_with_the_time_at_which_it_was_found() {
        let (mut state, id) = (BooksState::default(), OrderId::new());
        let first = found(id, "status");
        let since = first.since;
        assert!(state.add(first) && state.add(found(id, "status")));
        assert_eq!((state.disagreements.len(), state.disagreements[0].since), (1, since));
        assert_eq!(state.disagreements[0].what.chars().count(), LONGEST_TEXT + 1);
        assert!(state.add(found(id, "amount")));
        assert_eq!((state.disagreements.len(), state.disagreements[0].member.as_str()), (1, "amount"));
        state.remove(id);
        assert!(state.disagreements.is_empty());
    }

    #[test]
    fn what_has_no_room_is_not_kept_and_the_state_fits_into_a_request() {
        let mut state = BooksState::default();
        for _ in 0..MOST_DISAGREEMENTS {
            assert!(state.add(found(OrderId::new(), "status")));
        }
        assert!(!state.add(found(OrderId::new(), "status")));
        assert_eq!(state.disagreements.len(), MOST_DISAGREEMENTS);
    }

    #[test]
    fn the_verdict_is_unknown_without_a_pass_or_after_five_minutes_and_a_disagreement_stays_one() {
        let now = Timestamp::now();
        let ago = |minutes: u32| Timestamp::from(now.as_datetime() - Duration::from_mins(minutes.into()));
        let pass = FullPass {
            started_at: now,
            finished_at: now,
            orders: 0,
            in_flight: 0,
            newer_rows: 0,
            paid: MoneyTotal::ZERO,
            held: None,
        };
        let state = |minutes, last_pass: Option<&FullPass>| BooksState {
            compared_until: Some(ago(minutes)),
            last_pass: last_pass.cloned(),
            ..BooksState::default()
        };
        assert_eq!(state(4, Some(&pass)).books(now).verdict, BooksVerdict::Balanced);
        assert_eq!(state(6, Some(&pass)).books(now).verdict, BooksVerdict::Unknown);
        assert_eq!(state(4, None).books(now).verdict, BooksVerdict::Unknown);
        assert_eq!(BooksState::default().books(now).verdict, BooksVerdict::Unknown);
        let further = BooksState { further: 1, ..state(6, None) };
        assert_eq!(further.books(now).verdict, BooksVerdict::Disagree);
    }
}
