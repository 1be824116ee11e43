//! The orders as an aggregate: which events are triggers, and how they are loaded and saved.

use std::convert::Infallible;

use chassis::aggregate::{Aggregate, Cause, Changes, Context, Stored, Updated};
use chassis::database::StoreError;
use contracts::{CancelReason, Event, OrderId};
use sqlx::{PgConnection, PgPool};
use tracing::warn;

use crate::domain::{self, Order, OrderState, Transition, Trigger, Violation};
use crate::store::{orders, timeline};

/// The orders.
pub(crate) struct Orders;

impl Aggregate for Orders {
    const TABLE: &'static str = "orders";

    type Entity = Order;
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

    fn cause(order: &Order) -> &Cause {
        &order.cause
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
    ) -> Result<Vec<(OrderId, Stored<Order>)>, StoreError> {
        orders::load(connection, ids).await
    }

    async fn count_newer(&self, pool: &PgPool) -> Result<u64, StoreError> {
        orders::count_newer(pool).await
    }

    async fn save(
        &self,
        connection: &mut PgConnection,
        changes: &Changes<'_, Order>,
    ) -> Result<(), StoreError> {
        if !changes.inserted.is_empty() {
            orders::insert(connection, &changes.inserted).await?;
        }
        if !changes.updated.is_empty() {
            orders::update(connection, &changes.updated).await?;
        }
        if !changes.history.is_empty() {
            timeline::insert(connection, &changes.history).await?;
        }
        Ok(())
    }

    fn committed(&self, changes: &Changes<'_, Order>) {
        for Updated { order_id, before, after } in &changes.updated {
            let timed_out = Some(CancelReason::PaymentTimeout);
            if before.cancel_reason != timed_out && after.cancel_reason == timed_out {
                let correlation_id = after.cause.correlation_id.as_deref();
                warn!(order.id = %order_id, correlation.id = correlation_id, "order cancelled: no payment result in time");
            }
        }
    }
}
