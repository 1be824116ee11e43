//! The orders as an aggregate: which events are triggers, and how they are loaded and saved.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chassis::aggregate::{Aggregate, Cause, Changes, Context, Names, Standing, Stored, Triggered};
use chassis::database::StoreError;
use contracts::{Event, Money, OrderId, OrderStatus, Owner};
use sqlx::{PgConnection, PgPool};

use crate::changes::Changes as Feed;
use crate::domain::{self, Order, OrderState, Transition, Trigger, Violation};
use crate::outcomes;
use crate::store::{orders, timeline};

/// The orders.
pub(crate) struct Orders {
    /// Tells gateways what changes.
    pub(crate) changes: Arc<Feed>,
    /// How long an order may wait for the result of its payment.
    pub(crate) saga_timeout: Duration,
    /// Whose the orders are that name no owner.
    pub(crate) default_owner: Owner,
}

impl Aggregate for Orders {
    const TABLE: &'static str = "orders";

    type Entity = Order;
    type Trigger = Trigger;
    type Call = Infallible;
    type Reserved = ();
    type Violation = Violation;
    /// For how long the orders that were updated have existed.
    type Saved = HashMap<OrderId, Duration>;

    fn trigger(&self, event: &Event) -> Option<Trigger> {
        Some(match event {
            Event::CreateOrderRequested(event) => {
                let owner = event.owner.clone().unwrap_or_else(|| self.default_owner.clone());
                let pay_within = self.saga_timeout;
                Trigger::Place { owner, user_id: event.user_id, total: event.total, pay_within }
            }
            Event::OrderCancelRequested(event) => {
                let by = event.owner.clone().unwrap_or_else(|| self.default_owner.clone().into());
                Trigger::Cancel { by }
            }
            Event::PaymentApproved(_) => Trigger::PaymentApproved,
            Event::PaymentDeclined(_) => Trigger::PaymentDeclined,
            Event::PaymentFailed(_) => Trigger::PaymentFailed,
            Event::PaymentCancelled(_) | Event::PaymentRefunded(_) => Trigger::PaymentReversed,
            Event::OrderCreated(_) | Event::OrderCancelled(_) => return None,
        })
    }

    const NAMES: Names = Names {
        entity: "order",
        status_before: "order.status.before",
        status: "order.status",
        reason: Some("cancel.reason"),
        outcome: Some("saga.outcome"),
    };

    fn amount(order: &Order) -> Money {
        order.total
    }

    fn standing(order: &Order) -> Standing {
        Standing {
            status: order.status.into(),
            reason: order.cancel_reason.map(Into::into),
            is_outcome: order.status != OrderStatus::PendingPayment,
        }
    }

    fn span_name(_: &Trigger) -> &'static str {
        "deadline passed"
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
    ) -> Result<HashMap<OrderId, Duration>, StoreError> {
        if !changes.inserted.is_empty() {
            orders::insert(connection, &changes.inserted).await?;
        }
        let ages = if changes.updated.is_empty() {
            HashMap::new()
        } else {
            orders::update(connection, &changes.updated).await?
        };
        if !changes.history.is_empty() {
            timeline::insert(connection, &changes.history).await?;
        }
        Ok(ages)
    }

    fn reserve(&self, _: &mut [Triggered<Trigger>]) {}

    fn begin(&self, _: Vec<Infallible>, (): ()) {}

    fn committed(&self, changes: &Changes<'_, Order>, ages: HashMap<OrderId, Duration>) {
        outcomes::count(changes, &ages);
        if !changes.history.is_empty() {
            self.changes.committed();
        }
    }
}
