//! From events to transitions: a batch of messages, one load, one save.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::consumer::{Handler, Received, Verdict};
use chassis::outbox::UnitOfWork;
use contracts::{Event, OrderId};
use tokio::sync::Notify;

use crate::domain::{Saga, Step, Trigger, transition};
use crate::store::{self, Note};

/// Handles every queue of the payment service: each event triggers the payment of one order.
pub(crate) struct SagaHandler {
    /// Told that there may be something to ask the provider.
    pub(crate) steps_due: Arc<Notify>,
}

impl Handler for SagaHandler {
    async fn handle(&self, unit: &mut UnitOfWork, batch: &[Received]) -> Result<Vec<Verdict>, sqlx::Error> {
        let orders: Vec<OrderId> = batch.iter().map(|received| received.envelope.order_id()).collect();
        let before = store::load(unit.connection(), &orders).await?;
        let mut after = before.clone();
        let mut notes = HashMap::new();
        let mut verdicts = Vec::with_capacity(batch.len());
        for received in batch {
            let envelope = &received.envelope;
            let Some(trigger) = trigger(&envelope.event) else {
                let event_type = envelope.event.event_type();
                verdicts.push(Verdict::Poison(format!("{event_type} is not for the payment service")));
                continue;
            };
            let order_id = envelope.order_id();
            let saga = after.entry(order_id).or_insert(Saga::Unknown);
            let transition = transition(order_id, saga, trigger);
            let refund_is_new =
                transition.next.step() == Some(Step::Refund) && saga.step() != Some(Step::Refund);
            *saga = transition.next;
            if let Some(event) = transition.emit {
                unit.emit(event, received.cause())?;
            }
            let note = Note { cause: received.cause().clone(), adopt: refund_is_new, ..Note::default() };
            if refund_is_new {
                notes.insert(order_id, note);
            } else {
                // A payment belongs where it was opened; the first event that says so is the one.
                notes.entry(order_id).or_insert(note);
            }
            verdicts.push(Verdict::Done);
        }
        store::save(unit.connection(), &before, &after, &notes).await?;
        Ok(verdicts)
    }

    fn committed(&self) {
        self.steps_due.notify_one();
    }
}

fn trigger(event: &Event) -> Option<Trigger> {
    Some(match event {
        Event::OrderCreated(event) => Trigger::OrderCreated { amount: event.total },
        Event::OrderCancelled(_) => Trigger::OrderCancelled,
        _ => return None,
    })
}
