//! The payments as an aggregate: which events are triggers, and how they are loaded and saved.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chassis::aggregate::{Aggregate, Cause, Change, Changes, Context, early_cancellations};
use chassis::database::StoreError;
use contracts::{Event, OrderId};
use sqlx::PgConnection;
use tokio::sync::Notify;

use crate::domain::{self, Due, PaymentState, ProviderCall, Transition, Trigger};
use crate::store::payments::{self, PaymentChange};

/// The payments, one for each order.
pub(crate) struct Payments {
    /// How long after its sending a charge may still reach the provider.
    pub(crate) charge_transit: Duration,
    /// Notified when a step becomes due.
    pub(crate) steps_due: Arc<Notify>,
}

impl Aggregate for Payments {
    type State = PaymentState;
    type Trigger = Trigger;
    type Call = ProviderCall;
    type Violation = Infallible;

    fn trigger(event: &Event) -> Option<Trigger> {
        match event {
            Event::OrderCreated(event) => Some(Trigger::OrderCreated { amount: event.total }),
            Event::OrderCancelled(_) => Some(Trigger::OrderCancelled),
            Event::CreateOrderRequested(_)
            | Event::OrderCancelRequested(_)
            | Event::PaymentApproved(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentFailed(_)
            | Event::PaymentCancelled(_)
            | Event::PaymentRefunded(_) => None,
        }
    }

    fn cause(state: &PaymentState) -> Cause {
        state.payment().map(|payment| payment.cause.clone()).unwrap_or_default()
    }

    fn transition(
        context: &Context<'_>,
        state: &PaymentState,
        trigger: &Trigger,
    ) -> Result<Transition, Infallible> {
        Ok(domain::transition(context, state, trigger))
    }

    async fn load(
        &self,
        connection: &mut PgConnection,
        orders: &[OrderId],
    ) -> Result<Vec<(OrderId, PaymentState)>, StoreError> {
        let payments = payments::load(connection, orders, self.charge_transit).await?;
        let early = early_cancellations::find(connection, orders, &payments).await?;
        let opened = payments.into_iter().map(|(order, payment)| (order, PaymentState::Opened(payment)));
        Ok(opened.chain(early.into_iter().map(|order| (order, PaymentState::CancelledEarly))).collect())
    }

    async fn save(
        &self,
        connection: &mut PgConnection,
        changes: &Changes<'_, PaymentState>,
    ) -> Result<(), StoreError> {
        let (mut opened, mut updated, mut cancelled_early) = (Vec::new(), Vec::new(), Vec::new());
        for Change { order_id, before, after } in &changes.states {
            let order_id = *order_id;
            match (before, after) {
                (PaymentState::Opened(before), PaymentState::Opened(after)) => {
                    updated.push(PaymentChange { order_id, before, after });
                }
                (_, PaymentState::Opened(payment)) => opened.push((order_id, payment)),
                (_, PaymentState::CancelledEarly) => cancelled_early.push(order_id),
                (_, PaymentState::Unknown) => {}
            }
        }
        if !opened.is_empty() {
            payments::insert(connection, &opened).await?;
        }
        if !updated.is_empty() {
            payments::update(connection, &updated).await?;
        }
        if !cancelled_early.is_empty() {
            early_cancellations::insert(connection, &cancelled_early).await?;
        }
        Ok(())
    }

    fn committed(&self, changes: &[Change<PaymentState>]) {
        let next = |change: &Change<PaymentState>| change.after.payment().and_then(|payment| payment.next);
        if changes.iter().filter_map(next).any(|next| next.due == Due::Now) {
            self.steps_due.notify_one();
        }
    }
}
