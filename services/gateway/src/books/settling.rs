//! Orders that changed and have time to settle before they are compared, and those that had not settled then.
//!
//! The memory is bounded. What changed is not read on while there is no room: it waits in the order service's database, and is
//! compared later. Of what waits for its provider or its deadline, only so many are looked at again by themselves; the others are
//! compared with their next change, or by the full pass.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use contracts::books::exchange::ChangedOrders;
use contracts::feed::EventCursor;
use contracts::{OrderId, Timestamp};

/// How long what changed may change further. `paysaga check` gives as much.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// How long until an order that was in flight is compared again.
const AGAIN: Duration = Duration::from_mins(1);

/// Most orders that have time to settle: some ten megabytes.
const MOST_SETTLING: usize = 100_000;

/// Most orders in flight that are compared again by themselves.
const MOST_WAITING: usize = 50_000;

/// What one look has found.
struct Look {
    number: u64,
    at: Instant,
    changed: ChangedOrders,
}

/// A look whose orders have had their time.
pub(super) struct Due {
    /// Those that have not changed since.
    pub(super) orders: Vec<OrderId>,
    /// Behind its last step.
    pub(super) cursor: EventCursor,
    /// When it was.
    pub(super) read_at: Timestamp,
}

/// Orders that are to be compared.
#[derive(Default)]
pub(super) struct Settling {
    looks: VecDeque<Look>,
    /// In which look each order was found last.
    last_look: HashMap<OrderId, u64>,
    looked: u64,
    waiting: VecDeque<(Instant, OrderId)>,
    is_waiting: HashSet<OrderId>,
}

impl Settling {
    /// Whether more changes may be read.
    pub(super) fn has_room(&self) -> bool {
        self.last_look.len() < MOST_SETTLING
    }

    /// How many are to be compared.
    pub(super) fn len(&self) -> usize {
        self.last_look.len() + self.waiting.len()
    }

    /// Behind the last step that was read; none if nothing was.
    pub(super) fn read_until(&self) -> Option<EventCursor> {
        self.looks.back().map(|look| look.changed.cursor)
    }

    /// Notes what a look has found.
    pub(super) fn note(&mut self, changed: ChangedOrders, now: Instant) {
        self.looked += 1;
        let number = self.looked;
        self.last_look.extend(changed.orders.iter().map(|order| (*order, number)));
        self.looks.push_back(Look { number, at: now, changed });
    }

    /// The oldest look, once its orders have had their time. It stays until it is [`compared`](Self::compared).
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let Look { number, changed, .. } =
            self.looks.front().filter(|look| now.duration_since(look.at) >= GRACE)?;
        // What has changed since comes with a later look.
        let orders = changed.orders.iter().filter(|order| self.last_look.get(order) == Some(number));
        Some(Due { orders: orders.copied().collect(), cursor: changed.cursor, read_at: changed.read_at })
    }

    /// The oldest look was compared.
    pub(super) fn compared(&mut self) {
        let Some(Look { number, changed, .. }) = self.looks.pop_front() else { return };
        for order in changed.orders {
            if self.last_look.get(&order) == Some(&number) {
                self.last_look.remove(&order);
            }
        }
    }

    /// Has an order that is in flight compared again, if there is room.
    pub(super) fn wait(&mut self, order: OrderId, now: Instant) {
        if self.waiting.len() < MOST_WAITING && self.is_waiting.insert(order) {
            self.waiting.push_back((now + AGAIN, order));
        }
    }

    /// Takes up to so many whose time has come.
    pub(super) fn take_waiting(&mut self, most: usize, now: Instant) -> Vec<OrderId> {
        let due = self.waiting.iter().take(most).take_while(|(at, _)| *at <= now).count();
        let taken: Vec<_> = self.waiting.drain(..due).map(|(_, order)| order).collect();
        for order in &taken {
            self.is_waiting.remove(order);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(orders: &[OrderId], position: i64) -> ChangedOrders {
        let cursor = EventCursor { transaction: 1, position };
        ChangedOrders { orders: orders.to_vec(), cursor, more: false, read_at: Timestamp::now() }
    }

    #[test]
    fn an_order_is_compared_once_its_last_change_has_had_time() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        let (once, twice) = (OrderId::new(), OrderId::new());
        settling.note(look(&[once, twice], 1), start);
        settling.note(look(&[twice], 2), start + Duration::from_secs(10));
        assert!(settling.due(start + Duration::from_secs(29)).is_none());
        let due = settling.due(start + GRACE).unwrap();
        assert_eq!((due.orders, due.cursor.position), (vec![once], 1));
        settling.compared();
        assert_eq!(settling.len(), 1);
        assert!(settling.due(start + GRACE).is_none(), "it changed ten seconds later");
        assert_eq!(settling.due(start + Duration::from_secs(40)).unwrap().orders, [twice]);
        settling.compared();
        assert_eq!(settling.len(), 0);
    }

    #[test]
    fn what_is_in_flight_comes_again_after_a_minute_and_once() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        let order = OrderId::new();
        settling.wait(order, start);
        settling.wait(order, start);
        assert!(settling.take_waiting(10, start + Duration::from_secs(59)).is_empty());
        assert_eq!(settling.take_waiting(10, start + AGAIN), [order]);
        assert_eq!(settling.len(), 0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        let orders: Vec<_> = (0..MOST_SETTLING).map(|_| OrderId::new()).collect();
        settling.note(look(&orders, 1), start);
        assert!(!settling.has_room());
        for order in orders {
            settling.wait(order, start);
        }
        assert_eq!(settling.len(), MOST_SETTLING + MOST_WAITING);
    }
}
