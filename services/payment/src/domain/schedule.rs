//! What the provider is to be asked next, and when.

use std::time::Duration;

use chassis::aggregate::{Cause, Context};
use contracts::{Money, OrderId, PaymentId, Timestamp};

use super::retry_delay::retry_delay;
use super::state::{Due, LastCharge, NextStep, Payment, Step, StepReason};
use super::transition::{Transition, to};

/// A step that was taken: what the provider is to be asked once that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderCall {
    /// The provider's idempotency key.
    pub payment_id: PaymentId,
    /// The order that is paid.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// What to ask.
    pub step: Step,
    /// The number of the attempt.
    pub attempt: u32,
    /// Why the provider is asked.
    pub reason: StepReason,
    /// Whether a charge that was sent earlier may still be on its way.
    pub charge_in_transit: bool,
    /// When the step was taken, by this process' clock.
    pub taken_at: Timestamp,
    /// What the step arises from.
    pub cause: Cause,
}

impl Payment {
    /// A replica takes the step, if it is due. Should it never report back, another one takes the next when the lease has
    /// lapsed: a charge is then looked up before it is sent again; asking and refunding can simply be done again.
    pub(super) fn take_step(self, context: &Context<'_>, lease: Duration) -> Transition {
        let Some(NextStep { step, reason, .. }) = self.next.filter(|next| next.due.is_reached()) else {
            return to(self);
        };
        let step = match step {
            // No charge was ever sent.
            Step::Charge if !self.may_be_charged() && self.attempts == 0 => {
                return self.cancelled(context, None);
            }
            // An earlier one was not found, but may have been on its way then.
            Step::Charge if !self.may_be_charged() => Step::Lookup,
            step => step,
        };
        let attempts = self.attempts + 1;
        let call = ProviderCall {
            payment_id: PaymentId::of_order(context.order_id),
            order_id: context.order_id,
            amount: self.amount,
            step,
            attempt: attempts,
            reason,
            charge_in_transit: self.last_charge != LastCharge::Arrived,
            taken_at: context.now,
            cause: context.cause.clone(),
        };
        let (step, last_charge) = match step {
            Step::Charge => (Step::Lookup, LastCharge::SentNow),
            Step::Lookup | Step::Refund => (step, self.last_charge),
        };
        let next = Some(NextStep { step, due: Due::After(lease), reason: StepReason::LeaseLapsed });
        Transition { call: Some(call), ..to(Self { next, attempts, last_charge, ..self }) }
    }

    /// The last step brought nothing; it is taken again after a delay.
    pub(super) fn retry_later(self, context: &Context<'_>, error: Option<&String>) -> Transition {
        let Some(NextStep { step, .. }) = self.next else { return to(self) };
        let due = Due::After(retry_delay(context.order_id, self.attempts));
        let last_error = error.cloned().or(self.last_error);
        let next = Some(NextStep { step, due, reason: StepReason::Retry });
        to(Self { next, last_error, ..self })
    }

    /// The next step is this one, at once; if it was already, it stays when it was.
    pub(super) fn with_step(self, step: Step) -> Self {
        let next = match self.next {
            Some(next) if next.step == step => next,
            _ => NextStep { step, due: Due::Now, reason: StepReason::New },
        };
        Self { next: Some(next), ..self }
    }

    pub(super) fn without_step(self) -> Self {
        Self { next: None, ..self }
    }
}
