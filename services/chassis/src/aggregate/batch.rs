//! Transitions of a batch of triggers, one after the other, in memory.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use contracts::{Envelope, EventType, OrderId, Timestamp};
use tracing::Span;

use super::observe::{Observation, SpansOfOrders};
use super::{
    Aggregate, Cause, Changes, Context, HistoryEntry, Outcome, Rejection, State, Triggered, Updated,
};
use crate::broker::Message;
use crate::database::StoreError;

/// A batch of triggers, as far as it has been applied.
pub(super) struct Batch<'a, A: Aggregate> {
    /// The orders that are locked.
    orders: HashMap<OrderId, Tracked<A::Entity>>,
    /// Those of them whose rows are of a newer version.
    newer: HashSet<OrderId>,
    outcomes: Vec<Option<Outcome<A::Call>>>,
    observations: Vec<Observation>,
    messages: Vec<Message>,
    history: Vec<HistoryEntry<'a, A::Entity>>,
}

/// A batch of triggers, applied and not yet stored.
pub(super) struct Applied<'a, A: Aggregate> {
    /// One for each trigger; `None` if it was skipped.
    pub(super) outcomes: Vec<Option<Outcome<A::Call>>>,
    /// What is to be told about those that were applied.
    pub(super) observations: Vec<Observation>,
    pub(super) changes: Changes<'a, A::Entity>,
    pub(super) messages: Vec<Message>,
}

/// What was known about an order before the batch, and what is known now.
struct Tracked<Entity> {
    before: State<Entity>,
    now: State<Entity>,
}

impl<'a, A: Aggregate> Batch<'a, A> {
    /// A batch that begins with what is known about the orders that are locked.
    pub(super) fn new(
        known: impl IntoIterator<Item = (OrderId, State<A::Entity>)>,
        newer: HashSet<OrderId>,
    ) -> Self {
        let tracked = |state: State<A::Entity>| Tracked { before: state.clone(), now: state };
        let orders = known.into_iter().map(|(order_id, state)| (order_id, tracked(state))).collect();
        Self {
            orders,
            newer,
            outcomes: Vec::new(),
            observations: Vec::new(),
            messages: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Applies the next trigger, or skips it if its order is not locked.
    pub(super) fn apply(
        &mut self,
        triggered: &'a Triggered<A::Trigger>,
        spans: &SpansOfOrders,
    ) -> Result<(), StoreError> {
        let Triggered { order_id, trigger, cause, event, span } = triggered;
        let order_id = *order_id;
        if self.newer.contains(&order_id) {
            self.outcomes.push(Some(Outcome::Newer));
            return Ok(());
        }
        let Some(Tracked { now: state, .. }) = self.orders.get_mut(&order_id) else {
            self.outcomes.push(None);
            return Ok(());
        };
        let of_order = state.known().map(A::cause);
        let name = event.as_ref().map(|envelope| envelope.event.event_type());
        let name = name.map_or_else(|| A::span_name(trigger), |event| event.route().routing_key);
        let now = Timestamp::now();
        let transition = |cause: &Cause| {
            A::transition(&Context { order_id, cause, now }, state, trigger)
                .map_err(|error| error.to_string())
        };
        let (span, cause) = if let Some(cause) = cause {
            (span.clone(), cause.clone())
        } else {
            let cause = of_order.cloned().unwrap_or_default();
            // Where nothing becomes of it, another replica was first.
            let is_void = transition(&cause).is_ok_and(|transition| transition.is_none(state));
            if is_void { (Span::none(), cause) } else { spans.of(name, order_id, &cause) }
        };
        let order_trace = of_order.map(|order| &order.trace);
        let order_trace = order_trace.filter(|order| order.is_other_trace_than(&cause.trace)).cloned();
        crate::fail_on_order!(order_id);
        let transition = match transition(&cause) {
            Ok(transition) => transition,
            Err(violation) => {
                self.outcomes.push(Some(Outcome::Rejected(Rejection::Violation(violation))));
                return Ok(());
            }
        };
        let opens = event.as_ref().is_some_and(|envelope| opens_order(envelope.event.event_type()));
        self.observations.push(Observation {
            span,
            name,
            order_trace,
            before: state.known().map(A::standing),
            after: transition.next.known().map(A::standing),
            is_duplicate: opens && state.known().is_some(),
        });
        *state = transition.next;
        let entry = |envelope, payload| HistoryEntry { order_id, envelope, after: state.clone(), payload };
        let heard = event.as_ref().filter(|_| transition.is_history);
        self.history.extend(heard.map(|envelope| entry(Cow::Borrowed(envelope), None)));
        if let Some(event) = transition.event {
            let envelope = Envelope::now(event, cause.correlation_id);
            let encoded = envelope.encode()?;
            self.messages.push(Message::new(&envelope, encoded.body, cause.trace));
            self.history.push(entry(Cow::Owned(envelope), Some(encoded.payload)));
        }
        self.outcomes.push(Some(Outcome::Applied { call: transition.call }));
        Ok(())
    }

    /// What the triggers came to.
    pub(super) fn finish(self) -> Applied<'a, A> {
        let Self { orders, outcomes, observations, messages, history, .. } = self;
        let mut changes =
            Changes { inserted: Vec::new(), updated: Vec::new(), history, cancelled_early: Vec::new() };
        for (order_id, order) in orders.into_iter().filter(|(_, order)| order.before != order.now) {
            match (order.before, order.now) {
                (State::Known(before), State::Known(after)) => {
                    changes.updated.push(Updated { order_id, before, after });
                }
                (_, State::Known(entity)) => changes.inserted.push((order_id, entity)),
                (State::Unknown | State::CancelledEarly(_), State::CancelledEarly(by)) => {
                    changes.cancelled_early.extend(by.into_iter().map(|by| (order_id, by)));
                }
                // What is known is never forgotten.
                (_, State::CancelledEarly(_) | State::Unknown) => {}
            }
        }
        Applied { outcomes, observations, changes, messages }
    }
}

/// Whether an order begins with such an event, for the service that consumes it.
const fn opens_order(event_type: EventType) -> bool {
    matches!(event_type, EventType::CreateOrderRequested | EventType::OrderCreated)
}
