//! Transitions of a batch of triggers, one after the other, in memory.

use std::collections::HashMap;

use contracts::{Envelope, OrderId, Timestamp};

use super::changes::HistoryEvent;
use super::{Aggregate, Change, Changes, Context, HistoryEntry, Outcome, Rejection, Triggered};
use crate::broker::Message;
use crate::database::StoreError;

/// A batch of triggers, as far as it has been applied.
pub(super) struct Batch<'a, A: Aggregate> {
    /// What is known about the orders that are locked, before the batch and now.
    orders: HashMap<OrderId, Known<A::State>>,
    outcomes: Vec<Outcome<A::Call>>,
    history: Vec<HistoryEntry<'a, A::State>>,
    messages: Vec<Message>,
}

struct Known<State> {
    before: State,
    now: State,
}

/// What a whole batch came to.
pub(super) struct Applied<'a, A: Aggregate> {
    pub(super) outcomes: Vec<Outcome<A::Call>>,
    pub(super) changes: Changes<'a, A::State>,
    pub(super) messages: Vec<Message>,
}

impl<'a, A: Aggregate> Batch<'a, A> {
    /// A batch that begins with what is `known` about the orders that are locked; about the others of them, nothing is.
    pub(super) fn new(locked: &[OrderId], known: Vec<(OrderId, A::State)>) -> Self {
        let unknown = locked.iter().map(|order| (*order, A::State::default()));
        let orders = unknown
            .chain(known)
            .map(|(order, state)| (order, Known { before: state.clone(), now: state }))
            .collect();
        Self { orders, outcomes: Vec::new(), history: Vec::new(), messages: Vec::new() }
    }

    /// Applies the next trigger, unless its order is not locked.
    pub(super) fn apply(&mut self, triggered: &'a Triggered<A::Trigger>) -> Result<(), StoreError> {
        let Triggered { order_id, trigger, cause, event } = triggered;
        let Some(known) = self.orders.get_mut(order_id) else { return Ok(()) };
        let cause = cause.clone().unwrap_or_else(|| A::cause(&known.now));
        let context = Context { order_id: *order_id, cause: &cause, now: Timestamp::now() };
        let transition = match A::transition(&context, &known.now, trigger) {
            Ok(transition) => transition,
            Err(violation) => {
                self.outcomes.push(Outcome::Rejected(Rejection::Violation(violation.to_string())));
                return Ok(());
            }
        };
        known.now = transition.next;
        let mut record =
            |event| self.history.push(HistoryEntry { order_id: *order_id, after: known.now.clone(), event });
        if let Some(envelope) = event {
            record(HistoryEvent::Received(envelope));
        }
        if let Some(event) = transition.event {
            let envelope = Envelope::now(event, cause.correlation_id);
            let encoded = envelope.encode()?;
            self.messages.push(Message::new(&envelope, encoded.body, cause.trace));
            record(HistoryEvent::Emitted(envelope, encoded.payload));
        }
        self.outcomes.push(Outcome::Applied(transition.call));
        Ok(())
    }

    /// What it came to.
    pub(super) fn finish(self) -> Applied<'a, A> {
        let states = self
            .orders
            .into_iter()
            .filter(|(_, known)| known.before != known.now)
            .map(|(order_id, Known { before, now })| Change { order_id, before, after: now })
            .collect();
        Applied {
            outcomes: self.outcomes,
            changes: Changes { states, history: self.history },
            messages: self.messages,
        }
    }
}
