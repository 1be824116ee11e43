//! From events to transitions: a batch of messages, one load, one save.

use std::collections::HashMap;

use chassis::consumer::{Handler, Received, Verdict};
use chassis::outbox::UnitOfWork;
use contracts::{Event, OrderId, Timestamp};

use crate::domain::{self, Saga, Trigger};
use crate::store::{self, Step};

/// Handles every queue of the order service: each event triggers one order.
pub(crate) struct SagaHandler;

impl Handler for SagaHandler {
    async fn handle(&self, unit: &mut UnitOfWork, batch: &[Received]) -> Result<Vec<Verdict>, sqlx::Error> {
        let ids: Vec<OrderId> = batch.iter().map(|received| received.envelope.order_id()).collect();
        let before = store::load(unit.connection(), &ids).await?;
        let mut after = before.clone();
        let mut steps = Vec::new();
        let mut verdicts = Vec::with_capacity(batch.len());
        for received in batch {
            verdicts.push(apply(unit, received, &mut after, &mut steps)?);
        }
        let causes =
            batch.iter().map(|received| (received.envelope.order_id(), received.cause().clone())).collect();
        store::save(unit.connection(), &before, &after, &causes).await?;
        store::record(unit.connection(), &steps).await?;
        Ok(verdicts)
    }
}

/// Applies one message to its order.
fn apply(
    unit: &mut UnitOfWork,
    received: &Received,
    sagas: &mut HashMap<OrderId, Saga>,
    steps: &mut Vec<Step>,
) -> Result<Verdict, sqlx::Error> {
    let envelope = &received.envelope;
    let id = envelope.order_id();
    let Some(trigger) = trigger(&envelope.event) else {
        return Ok(Verdict::Poison(format!("{} is not for the order service", envelope.event.event_type())));
    };
    let saga = sagas.entry(id).or_insert(Saga::Unknown);
    let transition = match domain::transition(id, saga, &trigger, Timestamp::now()) {
        Ok(transition) => transition,
        Err(violation) => return Ok(Verdict::Poison(violation.to_string())),
    };
    *saga = transition.next;
    steps.push(Step::new(id, envelope.clone(), saga));
    if let Some(event) = transition.emit {
        steps.push(Step::new(id, unit.emit(event, received.cause())?, saga));
    }
    Ok(Verdict::Done)
}

fn trigger(event: &Event) -> Option<Trigger> {
    Some(match event {
        Event::CreateOrderRequested(event) => Trigger::Place { user_id: event.user_id, total: event.total },
        Event::OrderCancelRequested(_) => Trigger::Cancel,
        Event::PaymentApproved(_) => Trigger::PaymentApproved,
        Event::PaymentDeclined(_) => Trigger::PaymentDeclined,
        Event::PaymentFailed(_) => Trigger::PaymentFailed,
        Event::PaymentCancelled(_) | Event::PaymentRefunded(_) => Trigger::PaymentSettled,
        Event::OrderCreated(_) | Event::OrderCancelled(_) => return None,
    })
}
