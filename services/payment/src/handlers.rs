//! The payments as an aggregate: which events are triggers, and how they are loaded and saved.

use std::sync::Arc;
use std::time::Duration;

use chassis::aggregate::{Aggregate, Cause, Changes, Context, Names, Standing, Stored, Triggered};
use chassis::database::StoreError;
use contracts::{Event, Money, OrderId, Owner, PaymentStatus};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;

use crate::collection::{ProviderCalls, Slots};
use crate::domain::{self, Due, Payment, PaymentState, ProviderCall, Transition, Trigger, Undecidable};
use crate::outcomes;
use crate::store::{payments, refund_audit};

/// The payments, one for each order.
#[derive(Clone)]
pub(crate) struct Payments {
    /// How long after its sending a charge may still reach the provider.
    pub(crate) charge_transit: Duration,
    /// Notified when a step becomes due that is not taken at once.
    pub(crate) steps_due: Arc<Notify>,
    /// The calls to the provider.
    pub(crate) calls: ProviderCalls,
    /// Whose the payments are whose orders name no owner.
    pub(crate) default_owner: Owner,
}

impl Aggregate for Payments {
    const TABLE: &'static str = "payments";

    type Entity = Payment;
    type Trigger = Trigger;
    type Call = ProviderCall;
    type Reserved = Slots;
    type Violation = Undecidable;
    type Saved = ();

    fn trigger(&self, event: &Event) -> Option<Trigger> {
        match event {
            Event::OrderCreated(event) => {
                let owner = event.owner.clone().unwrap_or_else(|| self.default_owner.clone());
                let (amount, expires_at) = (event.total, event.expires_at);
                Some(Trigger::OrderCreated { owner, amount, expires_at, lease: None })
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

    const NAMES: Names = Names {
        entity: "payment",
        status_before: "payment.status.before",
        status: "payment.status",
        reason: None,
        outcome: None,
    };

    fn amount(payment: &Payment) -> Money {
        payment.amount
    }

    fn standing(payment: &Payment) -> Standing {
        let is_outcome = payment.status != PaymentStatus::Processing;
        Standing { status: payment.status.into(), reason: None, is_outcome }
    }

    fn span_name(trigger: &Trigger) -> &'static str {
        match trigger {
            Trigger::StepDue { .. } => "take step",
            Trigger::RetryRefund(_) => "retry refund",
            Trigger::SettleRefund { .. } => "settle refund",
            Trigger::AskNow => "ask now",
            // What the provider answers has a span already.
            _ => "settle answer",
        }
    }

    fn cause(payment: &Payment) -> &Cause {
        &payment.cause
    }

    fn transition(
        context: &Context<'_>,
        state: &PaymentState,
        trigger: &Trigger,
    ) -> Result<Transition, Undecidable> {
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

    fn reserve(&self, triggers: &mut [Triggered<Trigger>]) -> Slots {
        let leases = triggers.iter_mut().filter_map(|triggered| match &mut triggered.trigger {
            Trigger::OrderCreated { lease, .. } => Some(lease),
            _ => None,
        });
        let leases: Vec<_> = leases.collect();
        let slots = self.calls.reserve(leases.len());
        for lease in leases.into_iter().take(slots.count()) {
            *lease = Some(self.calls.lease());
        }
        slots
    }

    fn begin(&self, calls: Vec<ProviderCall>, slots: Slots) {
        self.calls.begin(calls, slots);
    }

    fn committed(&self, changes: &Changes<'_, Payment>, (): ()) {
        outcomes::count(changes);
        let inserted = changes.inserted.iter().map(|(_, payment)| payment);
        let updated = changes.updated.iter().map(|updated| &updated.after);
        if inserted.chain(updated).filter_map(|payment| payment.next).any(|next| next.due == Due::Now) {
            self.steps_due.notify_one();
        }
    }
}
