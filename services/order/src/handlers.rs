//! The orders as an aggregate: which events are triggers, and how they are loaded and saved.

use std::convert::Infallible;

use chassis::aggregate::{Aggregate, Cause, Change, Changes, Context, early_cancellations};
use chassis::database::StoreError;
use contracts::{CancelReason, Event, OrderId};
use sqlx::PgConnection;
use tracing::info;

use crate::domain::{self, OrderState, Transition, Trigger, Violation};
use crate::store::orders::StatusChange;
use crate::store::{orders, timeline};

/// The orders.
pub(crate) struct Orders;

impl Aggregate for Orders {
    type State = OrderState;
    type Trigger = Trigger;
    type Call = Infallible;
    type Violation = Violation;

    fn trigger(event: &Event) -> Option<Trigger> {
        Some(match event {
            Event::CreateOrderRequested(event) => {
                Trigger::Place { user_id: event.user_id, total: event.total }
            }
            Event::OrderCancelRequested(_) => Trigger::Cancel,
            Event::PaymentApproved(_) => Trigger::PaymentApproved,
            Event::PaymentDeclined(_) => Trigger::PaymentDeclined,
            Event::PaymentFailed(_) => Trigger::PaymentFailed,
            Event::PaymentCancelled(_) | Event::PaymentRefunded(_) => Trigger::PaymentReversed,
            Event::OrderCreated(_) | Event::OrderCancelled(_) => return None,
        })
    }

    fn cause(state: &OrderState) -> Cause {
        match state {
            OrderState::Placed(order) => order.cause.clone(),
            OrderState::Unknown | OrderState::CancelledEarly => Cause::default(),
        }
    }

    fn transition(
        context: &Context<'_>,
        state: &OrderState,
        trigger: &Trigger,
    ) -> Result<Transition, Violation> {
        domain::transition(context, state, trigger)
    }

    async fn load(
        &self,
        connection: &mut PgConnection,
        ids: &[OrderId],
    ) -> Result<Vec<(OrderId, OrderState)>, StoreError> {
        let orders = orders::load(connection, ids).await?;
        let early = early_cancellations::find(connection, ids, &orders).await?;
        let placed = orders.into_iter().map(|(id, order)| (id, OrderState::Placed(order)));
        Ok(placed.chain(early.into_iter().map(|id| (id, OrderState::CancelledEarly))).collect())
    }

    async fn save(
        &self,
        connection: &mut PgConnection,
        changes: &Changes<'_, OrderState>,
    ) -> Result<(), StoreError> {
        let (mut placed, mut moved, mut cancelled_early) = (Vec::new(), Vec::new(), Vec::new());
        for Change { order_id, before, after } in &changes.states {
            match (before, after) {
                (OrderState::Placed(before), OrderState::Placed(after)) => moved.push(StatusChange {
                    id: *order_id,
                    before: before.status,
                    after: after.status,
                    cancel_reason: after.cancel_reason,
                }),
                (_, OrderState::Placed(order)) => placed.push((*order_id, order)),
                (_, OrderState::CancelledEarly) => cancelled_early.push(*order_id),
                (_, OrderState::Unknown) => {}
            }
        }
        if !placed.is_empty() {
            orders::insert(connection, &placed).await?;
        }
        if !moved.is_empty() {
            orders::update(connection, &moved).await?;
        }
        if !cancelled_early.is_empty() {
            early_cancellations::insert(connection, &cancelled_early).await?;
        }
        if !changes.history.is_empty() {
            timeline::insert(connection, &changes.history).await?;
        }
        Ok(())
    }

    fn committed(&self, changes: &[Change<OrderState>]) {
        for Change { order_id, before, after } in changes {
            let (OrderState::Placed(before), OrderState::Placed(after)) = (before, after) else { continue };
            let timed_out = Some(CancelReason::PaymentTimeout);
            if before.cancel_reason != timed_out && after.cancel_reason == timed_out {
                let correlation_id = after.cause.correlation_id.as_deref();
                info!(order.id = %order_id, correlation.id = correlation_id, "order cancelled: no payment result in time");
            }
        }
    }
}
