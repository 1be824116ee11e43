//! How many requests to a service may be under way and waiting, kind by kind: one kind can't use up what another needs.
//!
//! A page costs a hundred times as much as one order. However many clients ask for pages, those that place an order or ask
//! for theirs don't wait behind them.

use tokio::sync::{Semaphore, SemaphorePermit};

/// What a request asks a service for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page of a list.
    Page,
    /// One thing.
    One,
    /// A change.
    Change,
    /// What an open stream has to send next.
    Stream,
}

/// The bulkheads of a service.
pub(crate) struct Bulkheads {
    pages: Bulkhead,
    ones: Bulkhead,
    changes: Bulkhead,
    streams: Bulkhead,
}

impl Default for Bulkheads {
    fn default() -> Self {
        // How many queries a service makes at once, it decides itself: those that come together share them.
        Self {
            pages: Bulkhead::new(32, 64),
            ones: Bulkhead::new(64, 1024),
            changes: Bulkhead::new(64, 1024),
            // After an interruption all of them read at once. One that finds no place tries again.
            streams: Bulkhead::new(8, 4096),
        }
    }
}

impl Bulkheads {
    /// Waits until a request of this kind may be sent; `None` at once if too many wait already.
    pub(crate) async fn enter(&self, kind: Kind) -> Option<Place<'_>> {
        match kind {
            Kind::Page => self.pages.enter().await,
            Kind::One => self.ones.enter().await,
            Kind::Change => self.changes.enter().await,
            Kind::Stream => self.streams.enter().await,
        }
    }
}

struct Bulkhead {
    under_way: Semaphore,
    /// Those under way and those that wait.
    admitted: Semaphore,
}

/// Held while a request is under way.
pub(crate) struct Place<'a> {
    _under_way: SemaphorePermit<'a>,
    _admitted: SemaphorePermit<'a>,
}

impl Bulkhead {
    fn new(under_way: usize, waiting: usize) -> Self {
        Self { under_way: Semaphore::new(under_way), admitted: Semaphore::new(under_way + waiting) }
    }

    async fn enter(&self) -> Option<Place<'_>> {
        let admitted = self.admitted.try_acquire().ok()?;
        let under_way = self.under_way.acquire().await.ok()?;
        Some(Place { _under_way: under_way, _admitted: admitted })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_waits_and_the_next_is_turned_away() {
        let bulkhead = Bulkhead::new(1, 1);
        let first = bulkhead.enter().now_or_never().flatten();
        assert!(first.is_some());
        let mut second = Box::pin(bulkhead.enter());
        assert!((&mut second).now_or_never().is_none());
        assert!(bulkhead.enter().now_or_never().is_some_and(|place| place.is_none()));
        drop(first);
        assert!(second.now_or_never().flatten().is_some());
    }
}
