//! Where a work list is looked at from.
//!
//! A work list is an index on the time at which something is due. What was done leaves dead entries at its low end. While a
//! snapshot is held, by a backup for instance, none of them can be removed, and a look from the beginning walks over all
//! of them. So looks begin near the end of the last one, and what they miss there (a transaction that took long to commit,
//! what another replica had in hand) is found by a task of its own that looks at all of it, seldom enough.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::types::time::OffsetDateTime;

use super::{StoreError, in_time};
use crate::tasks::{Tasks, pause_after};

/// How far a look goes back behind the end of the one before. What is due from the beginning of a transaction on appears
/// with its commit; this is longer than nearly all take.
const OVERLAP: Duration = Duration::from_secs(1);

/// How often the whole of the list is looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// The time from which on a work list has something to be done, as far as is known; by the database's clock. Cheap to clone;
/// all clones are one.
#[derive(Clone)]
pub struct Frontier(Arc<Mutex<OffsetDateTime>>);

impl Default for Frontier {
    /// The beginning of the list.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(OffsetDateTime::UNIX_EPOCH)))
    }
}

impl Frontier {
    /// Where the next look begins.
    #[must_use]
    pub fn start(&self) -> OffsetDateTime {
        *self.time()
    }

    /// Notes that a look which began at `start` found everything that was due up to this time.
    pub fn looked(&self, start: OffsetDateTime, until: OffsetDateTime) {
        let mut time = self.time();
        // If something earlier was found meanwhile, the next look begins there.
        if *time == start {
            *time = start.max(until - OVERLAP);
        }
    }

    /// Looks at the whole list every few seconds. `first` finds the time of its first entry that is due; where looks have
    /// passed it by, they begin there again, and `found` is called.
    pub fn watch<F>(
        &self,
        name: &'static str,
        tasks: &Tasks,
        mut first: impl FnMut() -> F + Send + 'static,
        found: impl Fn() + Send + 'static,
    ) where
        F: Future<Output = Result<Option<OffsetDateTime>, StoreError>> + Send,
    {
        let (frontier, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn_essential(name, async move {
            let mut pause = INTERVAL;
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let started = Instant::now();
                // A list that can't be read is looked at again; the database's health reports why.
                if let Ok(Some(time)) = in_time(first()).await
                    && frontier.lower(time)
                {
                    found();
                }
                pause = pause_after(started.elapsed(), INTERVAL);
            }
        });
    }

    /// Begins there, if looks begin later now. Returns whether they did.
    fn lower(&self, to: OffsetDateTime) -> bool {
        let mut time = self.time();
        let passed_by = to < *time;
        *time = to.min(*time);
        passed_by
    }

    fn time(&self) -> MutexGuard<'_, OffsetDateTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn looks_begin_near_the_end_of_the_last_one_and_never_before_it() {
        let frontier = Frontier::default();
        frontier.looked(frontier.start(), seconds(10));
        assert_eq!(frontier.start(), seconds(9));
        frontier.looked(frontier.start(), seconds(5));
        assert_eq!(frontier.start(), seconds(9));
    }

    #[test]
    fn what_was_passed_by_is_looked_at_again_even_if_a_look_is_under_way() {
        let frontier = Frontier::default();
        frontier.looked(frontier.start(), seconds(10));
        let start = frontier.start();
        assert!(frontier.lower(seconds(3)));
        frontier.looked(start, seconds(20));
        assert_eq!(frontier.start(), seconds(3));
        assert!(!frontier.lower(seconds(4)));
        frontier.looked(frontier.start(), seconds(20));
        assert_eq!(frontier.start(), seconds(19));
    }
}
