//! The payments as an aggregate: which events are triggers, and how they are loaded and saved.

use std::sync::Arc;
use std::time::Duration;

use chassis::aggregate::{Aggregate, Cause, Changes, Context, Stored};
use chassis::database::StoreError;
use contracts::{Event, OrderId};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;

use crate::domain::{self, Due, NoRefusedRefund, Payment, PaymentState, ProviderCall, Transition, Trigger};
use crate::store::{payments, refund_audit};

/// The payments, one for each order.
pub(crate) struct Payments {
    /// How long after its sending a charge may still reach the provider.
    pub(crate) charge_transit: Duration,
    /// Notified when a step becomes due.
    pub(crate) steps_due: Arc<Notify>,
}

impl Aggregate for Payments {
    const TABLE: &'static str = "payments";

    type Entity = Payment;
    type Trigger = Trigger;
    type Call = ProviderCall;
    type Violation = NoRefusedRefund;

    fn trigger(&self, event: &Event) -> Option<Trigger> {
        match event {
            Event::OrderCreated(event) => {
                Some(Trigger::OrderCreated { amount: event.total, expires_at: event.expires_at })
            }
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

    fn cause(payment: &Payment) -> &Cause {
        &payment.cause
    }

    fn transition(
        context: &Context<'_>,
        state: &PaymentState,
        trigger: &Trigger,
    ) -> Result<Transition, NoRefusedRefund> {
        domain::transition(context, state, trigger)
    }

    async fn load(
        &self,
        connection: &mut PgConnection,
        orders: &[OrderId],
    ) -> Result<Vec<(OrderId, Stored<Payment>)>, StoreError> {
        payments::load(connection, orders, self.charge_transit).await
    }

    async fn count_newer(&self, pool: &PgPool) -> Result<u64, StoreError> {
        payments::count_newer(pool).await
    }

    async fn save(
        &self,
        connection: &mut PgConnection,
        changes: &Changes<'_, Payment>,
    ) -> Result<(), StoreError> {
        if !changes.inserted.is_empty() {
            payments::insert(connection, &changes.inserted).await?;
        }
        if !changes.updated.is_empty() {
            payments::update(connection, &changes.updated).await?;
            refund_audit::insert(connection, &changes.updated).await?;
        }
        Ok(())
    }

    fn committed(&self, changes: &Changes<'_, Payment>) {
        let inserted = changes.inserted.iter().map(|(_, payment)| payment);
        let updated = changes.updated.iter().map(|updated| &updated.after);
        if inserted.chain(updated).filter_map(|payment| payment.next).any(|next| next.due == Due::Now) {
            self.steps_due.notify_one();
        }
    }
}
