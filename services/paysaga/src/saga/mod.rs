//! One order, as far as the gateway shows it: where order and payment stand, what happened when, and what waited for what.

mod steps;
mod table;

use contracts::order::Order;
use contracts::payment::Payment;
use contracts::refund::RefundDetails;
use contracts::status::final_states_agree;
use contracts::{OrderId, OrderStatus, PaymentStatus, Timestamp, Word};
use serde::Serialize;

use crate::gateway::{Gateway, GatewayError};

pub use steps::{Step, Wait};
pub use table::{field, render};

/// One order's saga.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saga {
    /// The order; `None` if only its cancellation came so far.
    pub order: Option<Order<Word, Word>>,
    /// Its payment, once there is one.
    pub payment: Option<Payment<Word>>,
    /// Its refund, if one was ever owed and the key is an operator's.
    pub refund: Option<RefundDetails>,
    /// What happened, as the order service learnt of it. Empty if it was deleted (`RETENTION_TIMELINE`).
    pub events: Vec<Step>,
    /// What is waited for now.
    pub waiting: Option<Wait>,
}

/// Reads what there is about an order; `None` if the gateway knows nothing of it, or the key may not see it.
pub async fn read(gateway: &Gateway, id: OrderId) -> Result<Option<Saga>, GatewayError> {
    let (order, payment, events) =
        tokio::try_join!(gateway.order(id), gateway.payment_of(id), gateway.timeline(id))?;
    if order.is_none() && payment.is_none() && events.is_none() {
        return Ok(None);
    }
    let refund = match &payment {
        Some(payment) => refund_of(gateway, payment).await?,
        None => None,
    };
    let mut saga =
        Saga { order, payment, refund, events: steps::of(events.unwrap_or_default()), waiting: None };
    saga.waiting = saga.waits_for().and_then(|what| Wait::since_last(&saga.events, what, Timestamp::now()));
    steps::mark_longest(&mut saga.events, saga.waiting.as_mut());
    Ok(Some(saga))
}

/// Refunds are for operators; a client's key learns where its payment stands, and no more.
async fn refund_of(
    gateway: &Gateway,
    payment: &Payment<Word>,
) -> Result<Option<RefundDetails>, GatewayError> {
    const FORBIDDEN: u16 = 403;
    match gateway.refund(payment.id).await {
        Err(error) if error.status() == Some(FORBIDDEN) => Ok(None),
        refund => refund,
    }
}

impl Saga {
    /// What has to happen before everything is settled; `None` if it is, or if a status is one of a newer version.
    fn waits_for(&self) -> Option<&'static str> {
        use OrderStatus as O;
        use PaymentStatus as P;

        let order: O = self.order.as_ref()?.status.parse().ok()?;
        let payment: Option<P> = match &self.payment {
            Some(payment) => Some(payment.status.parse().ok()?),
            None => None,
        };
        if final_states_agree(order, payment) {
            return None;
        }
        Some(match (order, payment) {
            (_, Some(P::Processing)) => "the payment provider",
            (O::PendingPayment, Some(_)) => "the order service",
            (O::Cancelled | O::Failed, Some(P::Approved)) => "the refund",
            _ => "the payment service",
        })
    }
}
