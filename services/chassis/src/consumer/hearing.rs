//! Up to when everything that was sent to a queue has been handled.
//!
//! Silence is no answer as long as there may be something unread: what a queue holds after its consumer was away, or what
//! the consumer holds while the database is locked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use contracts::topology::Queue;

use crate::broker::{Publisher, QueueInspector};

/// How long a message may be under way from the queue to the consumer, besides the time between two questions.
const TRANSIT: Duration = Duration::from_millis(500);

/// How long the broker may take to say how long the queue is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How far a consumer has come. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Clone, Copy, Default)]
struct State {
    position: Position,
    /// How often the consumer was away.
    absences: u64,
}

#[derive(Clone, Copy, Default)]
enum Position {
    /// Nothing is delivered to it.
    #[default]
    Away,
    /// It has handled everything that had arrived by then, and is busy with what came later.
    Busy(Instant),
    /// It has handled everything that has arrived.
    Idle,
}

impl Progress {
    /// The consumer can't be reached.
    pub(super) fn away(&self) {
        let mut state = self.state();
        state.position = Position::Away;
        state.absences += 1;
    }

    /// It has handled everything that has arrived.
    pub(super) fn idle(&self) {
        self.state().position = Position::Idle;
    }

    /// Something more has arrived.
    pub(super) fn busy(&self, now: Instant) {
        let mut state = self.state();
        if matches!(state.position, Position::Idle) {
            state.position = Position::Busy(now);
        }
    }

    /// It has handled everything that had arrived by `then`, and more may have come.
    pub(super) fn handled(&self, then: Instant) {
        self.state().position = Position::Busy(then);
    }

    /// Up to when everything that had arrived is handled.
    fn through(&self, now: Instant) -> Option<Instant> {
        match self.state().position {
            Position::Away => None,
            Position::Busy(then) => Some(then),
            Position::Idle => Some(now),
        }
    }

    fn absences(&self) -> u64 {
        self.state().absences
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds out up to when everything that was sent to a queue has been handled by this replica. What another replica holds is
/// not known; it loses it, and this one hears it, when it is found to be gone.
pub struct Hearing {
    queue: Queue,
    inspector: QueueInspector,
    progress: Progress,
    publisher: Publisher,
    /// When the queue was found empty.
    empty: Option<Empty>,
}

#[derive(Clone, Copy)]
struct Empty {
    /// Before the question.
    before: Instant,
    /// After the answer.
    after: Instant,
    /// What was in transit then is in the queue again after a further one.
    absences: u64,
}

impl Hearing {
    pub(crate) const fn new(
        queue: Queue,
        inspector: QueueInspector,
        progress: Progress,
        publisher: Publisher,
    ) -> Self {
        Self { queue, inspector, progress, publisher, empty: None }
    }

    /// The time up to which everything has been handled, if it was found to be later than before. To be asked every
    /// second or so: what one question finds in transit, the next finds handled.
    pub async fn heard(&mut self) -> Option<Instant> {
        // While the broker takes nothing (an alarm), what the other services have to say waits with them.
        if self.publisher.availability().is_err() {
            self.empty = None;
            return None;
        }
        let absences = self.progress.absences();
        let through = self.progress.through(Instant::now())?;
        let last = self.empty.take().filter(|empty| empty.absences == absences);
        match last {
            // An earlier time that is still to be reached comes first: under load, no later one would ever be.
            Some(empty) if through < empty.after + TRANSIT => {
                self.empty = last;
                return None;
            }
            _ => {}
        }
        let before = Instant::now();
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, self.inspector.inspect(self.queue.name())).await;
        if asked.ok().flatten().is_some_and(|state| state.messages == 0) {
            self.empty = Some(Empty { before, after: Instant::now(), absences });
        }
        last.map(|empty| empty.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_consumer_has_handled_what_came_before() {
        let (progress, start) = (Progress::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(progress.through(later(1)), None);
        progress.idle();
        assert_eq!(progress.through(later(1)), Some(later(1)));
        progress.busy(later(2));
        progress.busy(later(3));
        assert_eq!(progress.through(later(9)), Some(later(2)), "what came at 2 is not handled");
        progress.handled(later(4));
        assert_eq!(progress.through(later(9)), Some(later(4)));
        progress.away();
        assert_eq!(progress.through(later(9)), None);
    }
}
