//! What changes at the order service, for those who wait for it: streams, and clients with `Prefer: wait`.
//!
//! ```text
//! order service: GET /changes ── one response for the whole gateway ──→ Changes ─→ those who listen to that order or client
//! ```
//!
//! It is open while somebody listens, and a while longer. Nothing is read from it but when to read: after each interruption all
//! who listen are told to look anew, so none of them misses a step.

mod following;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::tasks::Tasks;
use contracts::changes::Changed;
use contracts::{OrderId, OwnerFilter};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::upstream::Upstream;

/// The pause before those who listen look again where the order service can't tell them: one of an older version, or another
/// implementation.
const PAUSE: Duration = Duration::from_millis(100);

/// The same for each who listens. However many do, they don't ask more often than a thousand times a second.
const PAUSE_EACH: Duration = Duration::from_millis(1);

/// What can be listened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// An order has a new step.
    Steps(OrderId),
    /// An order has settled.
    Settlement(OrderId),
    /// There are steps to be read in the feed of these owners' orders.
    Feed(OwnerFilter),
}

/// Those who listen, and what they are told.
pub(crate) struct Changes {
    order: Arc<Upstream>,
    listeners: Mutex<Listeners>,
    /// The first began to listen.
    wanted: Notify,
    /// The order service can't tell what changes.
    is_mute: AtomicBool,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    count: u32,
    by_subject: HashMap<Subject, Vec<(u64, Arc<Notify>)>>,
    /// When the last one left.
    left_at: Option<Instant>,
}

/// One who listens, until it is dropped.
pub(crate) struct Listening {
    changes: Arc<Changes>,
    subject: Subject,
    number: u64,
    changed: Arc<Notify>,
}

impl Changes {
    /// Follows the order service while somebody listens, until the tasks stop.
    pub(crate) fn start(order: Arc<Upstream>, tasks: &Tasks) -> Arc<Self> {
        let changes = Arc::new(Self::new(order));
        let (following, stopping) = (Arc::clone(&changes), tasks.stopping());
        tasks.spawn_essential("changes", async move {
            stopping.run_until_cancelled(following.follow()).await;
        });
        changes
    }

    fn new(order: Arc<Upstream>) -> Self {
        let (listeners, wanted, is_mute) = (Mutex::default(), Notify::new(), AtomicBool::new(false));
        Self { order, listeners, wanted, is_mute }
    }

    /// Listens from now on: what changes from here is told, even if it is asked for later.
    pub(crate) fn listen(self: &Arc<Self>, subject: Subject) -> Listening {
        let changed = Arc::new(Notify::new());
        let mut listeners = self.listeners();
        let number = listeners.next;
        listeners.next += 1;
        listeners.count += 1;
        listeners.by_subject.entry(subject.clone()).or_default().push((number, Arc::clone(&changed)));
        drop(listeners);
        self.wanted.notify_one();
        Listening { changes: Arc::clone(self), subject, number, changed }
    }

    /// Tells those who listen.
    fn tell(&self, changed: &Changed) {
        let listeners = self.listeners();
        if changed.anew {
            listeners.by_subject.values().flatten().for_each(|(_, changed)| changed.notify_one());
            return;
        }
        let steps = changed.orders.iter().copied().map(Subject::Steps);
        let settlements = changed.settled.iter().copied().map(Subject::Settlement);
        let owners = changed.owners.iter().cloned().map(Subject::Feed);
        let all = (!changed.owners.is_empty()).then_some(Subject::Feed(OwnerFilter::Any));
        for subject in steps.chain(settlements).chain(owners).chain(all) {
            let those = listeners.by_subject.get(&subject);
            those.into_iter().flatten().for_each(|(_, changed)| changed.notify_one());
        }
    }

    fn tell_to_look_anew(&self) {
        self.tell(&Changed { anew: true, ..Changed::default() });
    }

    /// For how long none has listened; zero while one does.
    fn unwanted_for(&self) -> Duration {
        let listeners = self.listeners();
        match listeners.left_at {
            _ if listeners.count > 0 => Duration::ZERO,
            Some(left_at) => left_at.elapsed(),
            None => Duration::MAX,
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listening {
    /// Which of `count` turns it has, if those who listen take turns.
    pub(crate) fn turn(&self, count: u32) -> u32 {
        u32::try_from(self.number % u64::from(count)).unwrap_or_default()
    }

    /// Waits until there may be something new since the last call, or since the beginning.
    pub(crate) async fn changed(&self) {
        let changed = self.changed.notified();
        if self.changes.is_mute.load(Ordering::Relaxed) {
            let pause = PAUSE.max(PAUSE_EACH * self.changes.listeners().count);
            timeout(pause, changed).await.ok();
        } else {
            changed.await;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.changes.listeners();
        if let Some(those) = listeners.by_subject.get_mut(&self.subject) {
            those.retain(|(number, _)| *number != self.number);
            if those.is_empty() {
                listeners.by_subject.remove(&self.subject);
            }
        }
        listeners.count -= 1;
        if listeners.count == 0 {
            listeners.left_at = Some(Instant::now());
        }
    }
}
