//! What can happen in a world.

use contracts::{OrderStatus, PaymentStatus};
use payment::domain::{Due, Step};

use crate::faults::PlantedBug;
use crate::provider::{Call, Outcome, StepName};
use crate::world::{Message, RESULTS, World};

/// Calls to the provider that can be under way at once: those of two replicas, and in a release build (`cargo test
/// --release`), which is fast enough, one more whose lease has lapsed.
const MAX_CALLS: usize = if cfg!(debug_assertions) { 2 } else { 3 };

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The customer asks for a cancellation.
    AskToCancel,
    /// The time of the order's deadline comes while a result is on the broker. If none is, that time makes no difference:
    /// what comes later is late.
    ReachDeadline,
    /// The order service finds that no result came in time.
    PassDeadline,
    /// The time comes after which no charge may be begun. The two services' clocks differ, so either may be first.
    Expire,
    /// An event goes from an outbox to the broker. `again`: the process crashes before it deletes the row.
    Publish { message: Message, again: bool },
    /// An event is sent, and the broker loses it before it confirms.
    LoseUnconfirmed(Message),
    /// A message is processed. `again`: the process crashes before it acknowledges.
    Deliver { message: Message, again: bool },
    /// A replica finds the payment's next step, takes it if it is due, and calls the provider.
    TakeStep,
    /// The provider handles a call. Of a refund it approves or declines.
    Handle { call: usize, outcome: Outcome },
    /// Its answer is applied.
    Answer(usize),
    /// A call or its answer is lost, or the process that made it crashes.
    LoseCall(usize),
    /// The caller stops waiting for an answer.
    TimeOut(usize),
    /// The next step becomes due: a lease lapses, or the delay of a retry ends.
    StepBecomesDue,
    /// Enough time passes that no charge should still be in transit. With a provider that carries charges out later than it may,
    /// one still is.
    ChargeArrives,
    /// An operator has the provider asked once more for a refund that it refused.
    RetryRefund,
    /// An operator gives the money of a refused refund back by other means.
    SettleRefund,
    /// An operator has the provider asked now.
    AskNow,
}

impl World {
    /// Everything that can happen now.
    pub fn actions(&self, bug: Option<PlantedBug>) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.cancel_asked {
            actions.push(Action::AskToCancel);
        }
        let has_clocks = bug.is_none_or(PlantedBug::is_about_time);
        if self.order_status() == Some(OrderStatus::PendingPayment) {
            if !self.unheard || bug == Some(PlantedBug::DeadlineWithoutHearing) {
                actions.push(Action::PassDeadline);
            }
            if has_clocks && !self.unheard && RESULTS.iter().any(|result| self.broker.contains(result)) {
                actions.push(Action::ReachDeadline);
            }
        }
        if has_clocks
            && !self.expired
            && self.payment_status().is_none_or(|status| status == PaymentStatus::Processing)
        {
            actions.push(Action::Expire);
        }
        for &message in &self.outboxes {
            actions.extend([false, true].map(|again| Action::Publish { message, again }));
            if bug == Some(PlantedBug::NoConfirm) {
                actions.push(Action::LoseUnconfirmed(message));
            }
        }
        for &message in &self.broker {
            actions.extend([false, true].map(|again| Action::Deliver { message, again }));
        }
        if let Some(next) = self.next_step() {
            if self.calls.len() < MAX_CALLS {
                actions.push(Action::TakeStep);
            }
            if next.due == Due::Ahead {
                actions.push(Action::AskNow);
            }
            // The last look comes later than any charge.
            let is_last_look = self.payment_status() == Some(PaymentStatus::Cancelled);
            if next.due == Due::Ahead && !(is_last_look && self.charge_is_in_transit()) {
                actions.push(Action::StepBecomesDue);
            }
        }
        let providers_are_punctual = bug.is_some_and(PlantedBug::last_look_hides_it);
        if self.charge_may_be_in_transit() && !(providers_are_punctual && self.charge_is_in_transit()) {
            actions.push(Action::ChargeArrives);
        }
        if self.refund_is_refused() {
            actions.extend([Action::RetryRefund, Action::SettleRefund]);
        } else if bug == Some(PlantedBug::SettledWhileOpen)
            && self.next_step().is_some_and(|next| next.step == Step::Refund)
        {
            actions.push(Action::SettleRefund);
        }
        for (index, call) in self.calls.iter().enumerate() {
            match call {
                Call::Sent { step: StepName::Charge, .. } if self.provider.charge.is_none() => {
                    let outcomes = [Outcome::Approved, Outcome::Declined, Outcome::Failed];
                    actions.extend(outcomes.map(|outcome| Action::Handle { call: index, outcome }));
                }
                Call::Sent { step: StepName::Refund, .. } if self.provider.refunds == 0 => {
                    let outcomes = [Outcome::Approved, Outcome::Declined];
                    actions.extend(outcomes.map(|outcome| Action::Handle { call: index, outcome }));
                }
                Call::Sent { .. } => actions.push(Action::Handle { call: index, outcome: Outcome::Approved }),
                Call::Answered(_) => actions.push(Action::Answer(index)),
            }
            actions.extend([Action::LoseCall(index), Action::TimeOut(index)]);
        }
        actions
    }
}
