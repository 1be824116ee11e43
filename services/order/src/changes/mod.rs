//! What changes, as it happens, for gateways whose clients wait for it.
//!
//! ```text
//! a commit of this process ─────── at once ──┐
//! a commit of another replica ─ within 50 ms ┴→ feed: one look for all ─→ a line to each gateway that listens
//! ```
//!
//! A line says when to read and is no data: what clients get they get from reads behind a cursor, so a line too many or one
//! that is lost on the way can neither repeat nor skip a step. While no gateway listens, the database is not asked at all.

mod feed;
mod http;
mod restored;

use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::changes::Changed;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

pub(crate) use http::routes;
pub(crate) use restored::adopt;

/// Lines that a gateway may be behind. One that is further behind reads everything anew.
const MOST_LINES: usize = 64;

/// Gateways that listen.
#[derive(Default)]
pub(crate) struct Changes {
    listeners: Mutex<Vec<Listener>>,
    /// A gateway began to listen, or this process has committed something.
    look: Notify,
}

struct Listener {
    lines: mpsc::Sender<Line>,
    /// It has not been told everything, as one that has just come.
    is_behind: bool,
}

/// A line as it is sent.
type Line = Vec<u8>;

impl Changes {
    /// The lines from now on; the first says that everything is to be read anew.
    fn listen(&self) -> mpsc::Receiver<Line> {
        let (lines, receiver) = mpsc::channel(MOST_LINES);
        self.listeners().push(Listener { lines, is_behind: true });
        self.look.notify_one();
        receiver
    }

    /// This process has committed a step.
    pub(crate) fn committed(&self) {
        if !self.listeners().is_empty() {
            self.look.notify_one();
        }
    }

    /// Tells those who listen what has changed; returns whether any still does.
    fn tell(&self, changed: &Changed) -> bool {
        let (line, anew) = (line(changed), line(&Changed { anew: true, ..Changed::default() }));
        let is_news = *changed != Changed::default();
        let mut listeners = self.listeners();
        listeners.retain_mut(|listener| {
            let line = match listener.is_behind {
                true => &anew,
                false if is_news => &line,
                false => return !listener.lines.is_closed(),
            };
            let told = listener.lines.try_send(line.clone());
            listener.is_behind = matches!(told, Err(TrySendError::Full(_)));
            !matches!(told, Err(TrySendError::Closed(_)))
        });
        !listeners.is_empty()
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(changed: &Changed) -> Line {
    // Ids, names and a flag can always be written.
    let mut line = serde_json::to_vec(changed).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use contracts::OrderId;

    use super::*;

    fn step() -> Changed {
        Changed { orders: vec![OrderId::new()], ..Changed::default() }
    }

    /// The lines that have arrived.
    fn received(lines: &mut mpsc::Receiver<Line>) -> Vec<Changed> {
        std::iter::from_fn(|| lines.try_recv().ok())
            .map(|line| serde_json::from_slice(&line).unwrap())
            .collect()
    }

    #[test]
    fn a_gateway_that_has_just_come_reads_everything_anew_and_then_what_changes() {
        let (changes, step) = (Changes::default(), step());
        let mut lines = changes.listen();
        assert!(changes.tell(&Changed::default()));
        assert!(changes.tell(&step) && changes.tell(&Changed::default()));
        assert_eq!(received(&mut lines), [Changed { anew: true, ..Changed::default() }, step]);
        drop(lines);
        assert!(!changes.tell(&Changed::default()));
    }

    #[test]
    fn a_gateway_that_is_too_far_behind_reads_everything_anew() {
        let (changes, step) = (Changes::default(), step());
        let mut lines = changes.listen();
        for _ in 0..MOST_LINES + 10 {
            changes.tell(&step);
        }
        assert_eq!(received(&mut lines).len(), MOST_LINES);
        changes.tell(&Changed::default());
        assert_eq!(received(&mut lines), [Changed { anew: true, ..Changed::default() }]);
    }
}
