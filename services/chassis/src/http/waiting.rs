//! Clients that keep the service waiting: a bounded number, and the one that has kept it waiting longest goes first.
//!
//! Turning the next one away would be simpler, and would let slow clients lock out those that are done in a millisecond.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Those who keep the service waiting.
pub(super) struct Waiting {
    most: usize,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    next: u64,
    /// By their number, which is their order too.
    running: BTreeMap<u64, Ending>,
}

/// Dropped, it ends a turn.
type Ending = oneshot::Sender<()>;

impl Waiting {
    /// No more than `most` at once.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, turns: Mutex::default() })
    }

    /// One more. If that is one too many, the oldest is over.
    pub(super) fn enter(self: &Arc<Self>) -> (Turn, Over) {
        let (ending, over) = oneshot::channel();
        let turn = Turn { waiting: Arc::clone(self), state: Mutex::new(State::Paused(ending)) };
        turn.resume();
        (turn, Over(over))
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time during which one client keeps the service waiting.
pub(super) struct Turn {
    waiting: Arc<Waiting>,
    state: Mutex<State>,
}

enum State {
    Running(u64),
    Paused(Ending),
    Over,
}

impl Turn {
    /// The client does not keep the service waiting for now.
    pub(super) fn pause(&self) {
        let mut state = self.state();
        if let State::Running(number) = *state {
            let ending = self.waiting.turns().running.remove(&number);
            *state = ending.map_or(State::Over, State::Paused);
        }
    }

    /// It does again, from now on.
    pub(super) fn resume(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Over) {
            State::Paused(ending) => {
                let mut turns = self.waiting.turns();
                let number = turns.next;
                turns.next += 1;
                turns.running.insert(number, ending);
                if turns.running.len() > self.waiting.most {
                    turns.running.pop_first();
                }
                State::Running(number)
            }
            other => other,
        };
    }

    /// Whether it goes on, or was cut short and the client has sent nothing since.
    pub(super) fn is_running(&self) -> bool {
        matches!(*self.state(), State::Running(_))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pause();
    }
}

/// Ends when a turn is cut short for others.
pub(super) struct Over(oneshot::Receiver<()>);

impl Future for Over {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_over(over: &mut Over) -> bool {
        over.now_or_never().is_some()
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let waiting = Waiting::new(2);
        let [(first, mut first_over), (_second, mut second_over)] = [waiting.enter(), waiting.enter()];
        assert!(!is_over(&mut first_over));
        let third = waiting.enter();
        assert!(is_over(&mut first_over) && !is_over(&mut second_over));
        drop((first, third));
        let _fourth = waiting.enter();
        assert!(!is_over(&mut second_over));
    }

    #[test]
    fn a_pause_begins_the_time_anew() {
        let waiting = Waiting::new(2);
        let [(first, mut first_over), (_second, mut second_over)] = [waiting.enter(), waiting.enter()];
        first.pause();
        let _third = waiting.enter();
        assert!(!is_over(&mut first_over) && !is_over(&mut second_over));
        first.resume();
        assert!(!is_over(&mut first_over) && is_over(&mut second_over));
    }
}
