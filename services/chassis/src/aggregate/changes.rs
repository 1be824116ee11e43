//! What a batch of triggers came to, on its way to the store.

use std::borrow::Cow;

use contracts::{Envelope, OrderId, OwnerFilter};
use serde_json::value::{RawValue, to_raw_value};

use super::State;

/// What a batch of triggers came to.
#[derive(Debug)]
pub struct Changes<'a, Entity> {
    /// Orders that became known.
    pub inserted: Vec<(OrderId, Entity)>,
    /// Orders that were known and are not the same any more.
    pub updated: Vec<Updated<Entity>>,
    /// The events that were applied and those that followed, in their order.
    pub history: Vec<HistoryEntry<'a, Entity>>,
    pub(super) cancelled_early: Vec<(OrderId, OwnerFilter)>,
}

/// An order before and after a batch.
#[derive(Clone, Debug)]
pub struct Updated<Entity> {
    /// Which order.
    pub order_id: OrderId,
    /// What it was.
    pub before: Entity,
    /// What it is now.
    pub after: Entity,
}

/// An event of an order.
#[derive(Debug)]
pub struct HistoryEntry<'a, Entity> {
    /// Which order.
    pub order_id: OrderId,
    /// The event.
    pub envelope: Cow<'a, Envelope>,
    /// What was known about the order after it.
    pub after: State<Entity>,
    /// Its payload as JSON, where it has been written already.
    pub(super) payload: Option<Box<RawValue>>,
}

impl<Entity> HistoryEntry<'_, Entity> {
    /// The event's payload as JSON.
    pub fn payload(&self) -> serde_json::Result<Box<RawValue>> {
        self.payload.clone().map_or_else(|| to_raw_value(&self.envelope.event), Ok)
    }
}
