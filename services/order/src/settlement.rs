//! Clients that wait for an order to settle, and how they learn of it.
//!
//! ```text
//! GET /orders/{id}?wait=… ─→ Settlements::wait ──┐ look now
//! a commit of this process ─→ Settlements::of ───┼→ one task: one statement for all orders that are waited for
//! a commit of another replica ─ within 50 ms ────┘          └→ each settled order to those who wait for it
//! ```
//!
//! Waiting costs a place in a map. However many wait, they don't ask the database one by one; and while no one waits, it is
//! not asked at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::database::in_time;
use contracts::OrderId;
use contracts::order::Order;
use sqlx::PgPool;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::store::orders;

/// The pause between two looks at most: another replica's commits are not announced.
const INTERVAL: Duration = Duration::from_millis(50);

/// The pause between two looks at least, so that many who begin to wait, and many orders that settle, share one.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);

/// Those who wait for orders.
#[derive(Default)]
pub(crate) struct Settlements {
    waiters: Mutex<Waiters>,
    /// Someone began to wait, or an order that is waited for has settled.
    look: Notify,
}

#[derive(Default)]
struct Waiters {
    next: u64,
    by_order: HashMap<OrderId, Vec<Waiter>>,
    stopped: bool,
}

struct Waiter {
    number: u64,
    settled: oneshot::Sender<Order>,
}

impl Settlements {
    /// The order once it has settled, whether it exists yet or not; `None` if that takes longer, or the service stops.
    pub(crate) async fn wait(&self, order_id: OrderId, time: Duration) -> Option<Order> {
        let (_place, settled) = self.enter(order_id)?;
        self.look.notify_one();
        timeout(time, settled).await.ok()?.ok()
    }

    /// This process has settled orders.
    pub(crate) fn of(&self, mut settled: impl Iterator<Item = OrderId>) {
        let waiters = self.waiters();
        if !waiters.by_order.is_empty() && settled.any(|order_id| waiters.by_order.contains_key(&order_id)) {
            self.look.notify_one();
        }
    }

    /// Looks for orders that are waited for and have settled, until the service stops; then none waits any longer.
    pub(crate) async fn run(self: Arc<Self>, pool: PgPool, stopping: CancellationToken) {
        stopping.run_until_cancelled(self.look_again_and_again(&pool)).await;
        let mut waiters = self.waiters();
        waiters.stopped = true;
        waiters.by_order.clear();
    }

    async fn look_again_and_again(&self, pool: &PgPool) {
        loop {
            let waited_for: Vec<_> = self.waiters().by_order.keys().copied().collect();
            if waited_for.is_empty() {
                self.look.notified().await;
                continue;
            }
            match in_time(orders::settled(pool, &waited_for)).await {
                Ok(settled) => self.announce(settled),
                // They go on waiting. The database's part of the service's health reports why.
                Err(error) => debug!(%error, "settled orders can't be looked for"),
            }
            let next = Instant::now() + INTERVAL;
            sleep(SHORTEST_INTERVAL).await;
            timeout_at(next, self.look.notified()).await.ok();
        }
    }

    fn announce(&self, settled: Vec<Order>) {
        let mut waiters = self.waiters();
        for order in settled {
            for waiter in waiters.by_order.remove(&order.id).into_iter().flatten() {
                // One that has just given up needs no answer.
                waiter.settled.send(order.clone()).ok();
            }
        }
    }

    fn enter(&self, order_id: OrderId) -> Option<(Place<'_>, oneshot::Receiver<Order>)> {
        let (settled, receiver) = oneshot::channel();
        let mut waiters = self.waiters();
        if waiters.stopped {
            return None;
        }
        let number = waiters.next;
        waiters.next += 1;
        waiters.by_order.entry(order_id).or_default().push(Waiter { number, settled });
        Some((Place { settlements: self, order_id, number }, receiver))
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiter's place in the map, given back when it stops waiting for whatever reason.
struct Place<'a> {
    settlements: &'a Settlements,
    order_id: OrderId,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiters = self.settlements.waiters();
        if let Some(those) = waiters.by_order.get_mut(&self.order_id) {
            those.retain(|waiter| waiter.number != self.number);
            if those.is_empty() {
                waiters.by_order.remove(&self.order_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::{Money, OrderStatus, Timestamp, UserId};
    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn paid(id: OrderId) -> Order {
        let now = Timestamp::now();
        let total: Money = "10.01".parse().unwrap();
        let (user_id, cancel_reason) = (UserId::from(uuid::Uuid::nil()), None);
        Order {
            id,
            user_id,
            total,
            status: OrderStatus::Paid,
            cancel_reason,
            created_at: now,
            updated_at: now,
            owner: None,
        }
    }

    #[tokio::test]
    async fn all_who_wait_for_an_order_get_it_and_no_one_else() {
        let settlements = Settlements::default();
        let (id, other) = (OrderId::new(), OrderId::new());
        let mut waiters = [id, id, other].map(|order_id| Box::pin(settlements.wait(order_id, LONG)));
        for waiter in &mut waiters {
            assert_eq!(waiter.now_or_never(), None);
        }
        settlements.announce(vec![paid(id)]);
        let answers = waiters.map(FutureExt::now_or_never);
        assert_eq!(answers.map(|answer| answer.flatten().map(|order| order.id)), [Some(id), Some(id), None]);
    }

    #[tokio::test]
    async fn those_who_gave_up_leave_nothing_behind() {
        let settlements = Settlements::default();
        let id = OrderId::new();
        assert_eq!(settlements.wait(id, Duration::ZERO).await, None);
        assert!(settlements.waiters().by_order.is_empty());
    }

    #[tokio::test]
    async fn only_an_order_that_is_waited_for_is_looked_for() {
        let settlements = Settlements::default();
        let (id, other) = (OrderId::new(), OrderId::new());
        let _waiter = settlements.enter(id).unwrap();
        settlements.of([other].into_iter());
        assert_eq!(settlements.look.notified().now_or_never(), None);
        settlements.of([other, id].into_iter());
        assert_eq!(settlements.look.notified().now_or_never(), Some(()));
    }
}
