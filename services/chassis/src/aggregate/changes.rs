//! What a batch of triggers came to, on its way to the store.

use contracts::{Envelope, OrderId};
use serde_json::value::{RawValue, to_raw_value};

/// What a batch of triggers came to.
#[derive(Debug)]
pub struct Changes<'a, State> {
    /// The orders of which something else is known now, each once.
    pub states: Vec<Change<State>>,
    /// The events that were applied and those that followed, in their order.
    pub history: Vec<HistoryEntry<'a, State>>,
}

/// What is known about one order, before and after a batch.
#[derive(Clone, Debug)]
pub struct Change<State> {
    /// Which order.
    pub order_id: OrderId,
    /// What was known.
    pub before: State,
    /// What is known now. Not the same.
    pub after: State,
}

/// An event of an order, and what was known about the order after it.
#[derive(Debug)]
pub struct HistoryEntry<'a, State> {
    /// Which order.
    pub order_id: OrderId,
    /// What was known after it.
    pub after: State,
    pub(super) event: HistoryEvent<'a>,
}

/// Where the event comes from.
#[derive(Debug)]
pub(super) enum HistoryEvent<'a> {
    /// Another service published it.
    Received(&'a Envelope),
    /// This service publishes it, and has written its payload as JSON.
    Emitted(Envelope, Box<RawValue>),
}

impl<State> HistoryEntry<'_, State> {
    /// The event.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        match &self.event {
            HistoryEvent::Received(envelope) => envelope,
            HistoryEvent::Emitted(envelope, _) => envelope,
        }
    }

    /// Its payload as JSON.
    pub fn payload(&self) -> serde_json::Result<Box<RawValue>> {
        match &self.event {
            HistoryEvent::Received(envelope) => to_raw_value(&envelope.event),
            HistoryEvent::Emitted(_, payload) => Ok(payload.clone()),
        }
    }
}
