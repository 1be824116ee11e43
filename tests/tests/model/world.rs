//! The state of everything that takes part in one saga, and what can happen to it.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::aggregate::{Cause, Context};
use contracts::{Event, EventType, OrderStatus, PaymentStatus, Timestamp};
use order::domain as orders;
use payment::domain::{self as payments, Due, Expiry, LastCharge, NextStep, Refund, Step};
use uuid::Uuid;

use crate::faults::PlantedBug;

/// Calls to the provider that can be under way at once: those of two replicas, and in a release build (`cargo test
/// --release`), which is fast enough, one more whose lease has lapsed.
const MAX_CALLS: usize = if cfg!(debug_assertions) { 2 } else { 3 };

/// The model has no clock, so any value will do.
const LEASE: Duration = Duration::from_secs(1);

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub order: orders::OrderState,
    /// Its next step is due now or later; how much later, and why, does not matter.
    pub payment: payments::PaymentState,
    /// Events that are committed, but not known to be on the broker.
    pub outboxes: BTreeSet<Message>,
    /// Messages that are not acknowledged.
    pub broker: BTreeSet<Message>,
    /// Messages that a service rejected.
    pub dead_letters: BTreeSet<Message>,
    /// Calls to the provider that are under way.
    pub calls: Vec<Call>,
    pub provider: Provider,
    /// Whether the customer asked for a cancellation.
    pub cancel_asked: bool,
    /// How often an operator gave the money back by other means.
    pub transfers: u8,
    /// The payment service's clock: whether it is too late to begin a charge.
    pub expired: bool,
    /// The order service's clock: whether the deadline was reached with a result on the broker that was still to be read.
    pub unheard: bool,
}

/// A message. One saga emits each at most once, so its name is enough. The two events that are only recorded in the
/// timeline are left out: nothing follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    Place,
    Cancel,
    OrderCreated,
    OrderCancelled,
    PaymentApproved,
    PaymentDeclined,
    PaymentFailed,
}

/// What the order service waits for.
const RESULTS: [Message; 3] = [Message::PaymentApproved, Message::PaymentDeclined, Message::PaymentFailed];

/// A call to the provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// In transit to the provider. `charge_in_transit`: whether an earlier charge may have been in transit when it was sent.
    /// `attempt`: the step's number.
    Sent { step: StepName, charge_in_transit: bool, attempt: u32 },
    /// The answer is in transit to the service.
    Answered(Answer),
}

/// [`Step`] with an order, so that two worlds that differ in the order of their calls only are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepName {
    Charge,
    Lookup,
    Refund,
}

/// The provider's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Charged(Outcome),
    NotCharged { attempt: u32, charge_in_transit: bool },
    Refunded,
    RefundRefused { attempt: u32 },
}

/// What the provider decided about a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Approved,
    Declined,
    Failed,
}

/// The provider's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Provider {
    pub charge: Option<Outcome>,
    /// How often money was taken.
    pub charges: u8,
    /// How often it was given back.
    pub refunds: u8,
    /// Whether it refuses to give it back. It does so until an operator has it asked once more.
    pub refuses: bool,
}

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
}

impl World {
    /// A customer has just placed an order, and the gateway answered 202.
    pub fn new() -> Self {
        Self {
            order: orders::OrderState::Unknown,
            payment: payments::PaymentState::Unknown,
            outboxes: BTreeSet::new(),
            broker: BTreeSet::from([Message::Place]),
            dead_letters: BTreeSet::new(),
            calls: Vec::new(),
            provider: Provider::default(),
            cancel_asked: false,
            transfers: 0,
            expired: false,
            unheard: false,
        }
    }

    pub fn order_status(&self) -> Option<OrderStatus> {
        self.order.known().map(|order| order.status)
    }

    pub fn payment(&self) -> Option<&payments::Payment> {
        self.payment.known()
    }

    pub fn payment_status(&self) -> Option<PaymentStatus> {
        self.payment().map(|payment| payment.status)
    }

    pub fn next_step(&self) -> Option<NextStep> {
        self.payment().and_then(|payment| payment.next)
    }

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

    /// The world after an action.
    pub fn after(&self, action: Action, bug: Option<PlantedBug>) -> Self {
        let mut world = self.clone();
        match action {
            Action::AskToCancel => {
                world.cancel_asked = true;
                world.broker.insert(Message::Cancel);
            }
            Action::ReachDeadline => world.unheard = true,
            Action::Expire => {
                world.expired = true;
                if let (false, payments::PaymentState::Known(payment)) =
                    (bug == Some(PlantedBug::ExpiryIgnored), &mut world.payment)
                {
                    payment.expiry = Expiry::Passed;
                }
            }
            Action::PassDeadline => {
                // An order that is overdue is known, and then nothing is a violation.
                let _ = world.trigger_order(&orders::Trigger::DeadlinePassed, bug);
            }
            Action::Publish { message, again } => {
                world.broker.insert(message);
                if !again {
                    world.outboxes.remove(&message);
                }
            }
            Action::LoseUnconfirmed(message) => {
                world.outboxes.remove(&message);
            }
            Action::Deliver { message, again } => {
                if !again {
                    world.broker.remove(&message);
                }
                world.deliver(message, bug);
            }
            Action::TakeStep => world.take_step(bug),
            Action::Handle { call, outcome } => world.handle(call, outcome, bug),
            Action::Answer(call) => {
                if let Call::Answered(answer) = world.calls.remove(call) {
                    world.answer(answer, bug);
                }
            }
            Action::LoseCall(call) => {
                world.calls.remove(call);
            }
            Action::TimeOut(call) => {
                let attempt = world.attempt_of(call);
                world.calls.remove(call);
                let trigger = match bug {
                    Some(PlantedBug::TimeoutIsDeclined) => declined(),
                    _ => payments::Trigger::Unanswered { attempt, error: "e".to_owned() },
                };
                world.trigger_payment(&trigger, bug);
                if bug == Some(PlantedBug::RetryAtOnce) {
                    world.set_due(Due::Reached);
                }
            }
            Action::StepBecomesDue => world.set_due(Due::Reached),
            Action::ChargeArrives => world.set_last_charge(LastCharge::Arrived),
            Action::RetryRefund => {
                world.provider.refuses = false;
                world.trigger_payment(&payments::Trigger::RetryRefund(decision()), bug);
            }
            Action::SettleRefund => world.settle(bug),
        }
        world.forget_times();
        world.number_attempts();
        world.calls.sort();
        world
    }

    /// Replaces what a transition scheduled by what the next one finds. Delays and leases are alike: time that is still to
    /// pass. Nothing follows from an error.
    fn forget_times(&mut self) {
        let payments::PaymentState::Known(payment) = &mut self.payment else { return };
        payment.last_error = None;
        payment.refund_records.clear();
        if payment.last_charge == LastCharge::SentNow {
            payment.last_charge = LastCharge::InTransit;
        }
        if let Expiry::At(_) = payment.expiry {
            payment.expiry = Expiry::Ahead;
        }
        if let Some(next) = &mut payment.next {
            next.due = if next.due.is_reached() { Due::Reached } else { Due::Ahead };
        }
    }

    fn set_due(&mut self, due: Due) {
        if let payments::PaymentState::Known(payment) = &mut self.payment
            && let Some(next) = &mut payment.next
        {
            next.due = due;
        }
    }

    fn set_last_charge(&mut self, last_charge: LastCharge) {
        if let payments::PaymentState::Known(payment) = &mut self.payment {
            payment.last_charge = last_charge;
        }
    }

    /// Attempts are compared with the latest one only: it is 1 here, and every earlier one 0, so that worlds that
    /// differ in the count alone are one.
    fn number_attempts(&mut self) {
        let payments::PaymentState::Known(payment) = &mut self.payment else { return };
        let latest = payment.attempts;
        payment.attempts = latest.min(1);
        for call in &mut self.calls {
            let (Call::Sent { attempt, .. }
            | Call::Answered(Answer::NotCharged { attempt, .. } | Answer::RefundRefused { attempt })) = call
            else {
                continue;
            };
            *attempt = u32::from(*attempt == latest && latest > 0);
        }
    }

    /// The number of the attempt that a call belongs to; where that is not tracked, the latest one's.
    pub fn attempt_of(&self, call: usize) -> u32 {
        match self.calls[call] {
            Call::Sent { attempt, .. }
            | Call::Answered(Answer::NotCharged { attempt, .. } | Answer::RefundRefused { attempt }) => {
                attempt
            }
            Call::Answered(Answer::Charged(_) | Answer::Refunded) => {
                self.payment().map_or(0, |payment| payment.attempts)
            }
        }
    }

    /// Whether a refund waits for an operator's decision.
    fn refund_is_refused(&self) -> bool {
        self.payment().is_some_and(|payment| matches!(payment.refund, Refund::Refused { .. }))
    }

    /// Whether a charge is in transit to the provider.
    fn charge_is_in_transit(&self) -> bool {
        self.calls.iter().any(|call| matches!(call, Call::Sent { step: StepName::Charge, .. }))
    }

    /// Whether the payment service must assume that one is.
    fn charge_may_be_in_transit(&self) -> bool {
        self.payment().is_some_and(|payment| payment.last_charge != LastCharge::Arrived)
    }

    fn deliver(&mut self, message: Message, bug: Option<PlantedBug>) {
        use orders::Trigger as Order;
        use payments::Trigger as Payment;
        if RESULTS.contains(&message) {
            self.unheard = false;
        }
        let applied = match message {
            Message::Place => self.trigger_order(&place(), bug),
            Message::Cancel => self.trigger_order(&Order::Cancel, bug),
            Message::PaymentApproved => self.trigger_order(&Order::PaymentApproved, bug),
            Message::PaymentDeclined => self.trigger_order(&Order::PaymentDeclined, bug),
            Message::PaymentFailed => self.trigger_order(&Order::PaymentFailed, bug),
            Message::OrderCreated => {
                let expires_at = Some(if self.expired { now() } else { now() + LEASE });
                self.trigger_payment(&Payment::OrderCreated { amount: amount(), expires_at }, bug);
                Ok(())
            }
            Message::OrderCancelled => {
                self.trigger_payment(&Payment::OrderCancelled, bug);
                Ok(())
            }
        };
        if applied.is_err() {
            self.dead_letters.insert(message);
        }
        if bug == Some(PlantedBug::ScheduleOverwritten) {
            self.set_due(Due::Reached);
        }
    }

    fn trigger_order(
        &mut self,
        trigger: &orders::Trigger,
        bug: Option<PlantedBug>,
    ) -> Result<(), orders::Violation> {
        let mut state = self.order.clone();
        if let (Some(PlantedBug::NoOrderGuard), orders::OrderState::Known(order)) = (bug, &mut state) {
            order.status = OrderStatus::PendingPayment;
            order.cancel_reason = None;
        }
        let transition = orders::transition(&context(&Cause::default()), &state, trigger)?;
        self.order = transition.next;
        if bug == Some(PlantedBug::NoOrderTombstone) && self.order == orders::OrderState::CancelledEarly {
            self.order = orders::OrderState::Unknown;
        }
        self.emit(transition.event);
        Ok(())
    }

    fn trigger_payment(
        &mut self,
        trigger: &payments::Trigger,
        bug: Option<PlantedBug>,
    ) -> Option<payments::ProviderCall> {
        let mut state = self.payment.clone();
        if let (Some(PlantedBug::NoPaymentGuard), payments::PaymentState::Known(payment)) = (bug, &mut state)
        {
            payment.status = PaymentStatus::Processing;
        }
        // What an operator may not decide changes nothing.
        let transition = payments::transition(&context(&Cause::default()), &state, trigger).ok()?;
        self.payment = transition.next;
        let no_last_look = bug.is_some_and(|bug| bug == PlantedBug::NoLastLook || bug.last_look_hides_it());
        if let (true, payments::PaymentState::Known(payment)) = (no_last_look, &mut self.payment)
            && payment.status == PaymentStatus::Cancelled
            && payment.step() == Some(Step::Lookup)
        {
            payment.next = None;
        }
        if bug == Some(PlantedBug::NoPaymentTombstone)
            && self.payment == payments::PaymentState::CancelledEarly
        {
            self.payment = payments::PaymentState::Unknown;
        }
        self.emit(transition.event);
        transition.call
    }

    fn emit(&mut self, event: Option<Event>) {
        self.outboxes.extend(event.and_then(|event| match event.event_type() {
            EventType::CreateOrderRequested => Some(Message::Place),
            EventType::OrderCancelRequested => Some(Message::Cancel),
            EventType::OrderCreated => Some(Message::OrderCreated),
            EventType::OrderCancelled => Some(Message::OrderCancelled),
            EventType::PaymentApproved => Some(Message::PaymentApproved),
            EventType::PaymentDeclined => Some(Message::PaymentDeclined),
            EventType::PaymentFailed => Some(Message::PaymentFailed),
            EventType::PaymentCancelled | EventType::PaymentRefunded => None,
        }));
    }

    fn take_step(&mut self, bug: Option<PlantedBug>) {
        match bug {
            Some(PlantedBug::TakenTooEarly) => self.set_due(Due::Reached),
            Some(PlantedBug::ChargeForgotten) => self.set_last_charge(LastCharge::Arrived),
            _ => {}
        }
        let Some(call) = self.trigger_payment(&payments::Trigger::StepDue { lease: LEASE }, bug) else {
            return;
        };
        if let (Some(PlantedBug::NoLease), payments::PaymentState::Known(payment)) = (bug, &mut self.payment)
        {
            // Taken indefinitely, as if the replica that has it could not crash.
            payment.next = None;
        }
        let step = match call.step {
            Step::Charge => StepName::Charge,
            Step::Lookup => StepName::Lookup,
            Step::Refund => StepName::Refund,
        };
        let payments::ProviderCall { attempt, charge_in_transit, .. } = call;
        self.calls.push(Call::Sent { step, charge_in_transit, attempt });
    }

    fn handle(&mut self, call: usize, outcome: Outcome, bug: Option<PlantedBug>) {
        let Call::Sent { step, charge_in_transit, attempt } = self.calls[call] else { return };
        let provider = &mut self.provider;
        let answer = match step {
            StepName::Charge => {
                let is_new = provider.charge.is_none() || bug == Some(PlantedBug::KeyPerAttempt);
                let outcome = *provider.charge.get_or_insert(outcome);
                if is_new && outcome == Outcome::Approved {
                    provider.charges += 1;
                }
                Answer::Charged(outcome)
            }
            StepName::Lookup => match provider.charge {
                Some(outcome) => Answer::Charged(outcome),
                None => Answer::NotCharged { attempt, charge_in_transit },
            },
            StepName::Refund if provider.refunds > 0 => Answer::Refunded,
            StepName::Refund if provider.refuses || outcome != Outcome::Approved => {
                provider.refuses = true;
                Answer::RefundRefused { attempt }
            }
            StepName::Refund => {
                if provider.charge == Some(Outcome::Approved) {
                    provider.refunds = 1;
                }
                Answer::Refunded
            }
        };
        self.calls[call] = Call::Answered(answer);
    }

    fn answer(&mut self, answer: Answer, bug: Option<PlantedBug>) {
        let trigger = match answer {
            Answer::Charged(Outcome::Approved) => {
                payments::Trigger::Approved { transaction_id: "t".to_owned() }
            }
            Answer::Charged(Outcome::Declined) => declined(),
            Answer::Charged(Outcome::Failed) => payments::Trigger::Failed { error: "f".to_owned() },
            Answer::NotCharged { charge_in_transit, .. } if bug == Some(PlantedBug::NoFence) => {
                let attempt = self.payment().map_or(0, |payment| payment.attempts);
                payments::Trigger::NotCharged { attempt, charge_in_transit }
            }
            Answer::NotCharged { attempt, charge_in_transit } => {
                payments::Trigger::NotCharged { attempt, charge_in_transit }
            }
            Answer::Refunded => payments::Trigger::Refunded,
            Answer::RefundRefused { attempt } => {
                let latest = self.payment().map_or(0, |payment| payment.attempts);
                let attempt = if bug == Some(PlantedBug::NoRefusalFence) { latest } else { attempt };
                payments::Trigger::RefundRefused { attempt, reason: "r".to_owned() }
            }
        };
        self.trigger_payment(&trigger, bug);
        if let (Some(PlantedBug::RefusalForgotten), payments::PaymentState::Known(payment)) =
            (bug, &mut self.payment)
        {
            payment.refund = Refund::Ordinary;
        }
        if bug == Some(PlantedBug::LookupAtOnce) && matches!(answer, Answer::NotCharged { .. }) {
            self.set_due(Due::Reached);
        }
    }

    fn settle(&mut self, bug: Option<PlantedBug>) {
        if let (Some(PlantedBug::SettledWhileOpen), payments::PaymentState::Known(payment)) =
            (bug, &mut self.payment)
        {
            payment.refund = Refund::Refused { reason: "r".to_owned() };
        }
        self.transfers += 1;
        let settled = payments::Trigger::SettleRefund { decision: decision(), reference: "t".to_owned() };
        self.trigger_payment(&settled, bug);
    }

    /// The world once faults have stopped and no action is left; after a hundred actions, if some are left then.
    pub fn completed(&self, bug: Option<PlantedBug>) -> Self {
        let mut world = self.clone();
        for _ in 0..100 {
            let next = if let Some(&message) = world.outboxes.first() {
                Action::Publish { message, again: false }
            } else if let Some(&message) = world.broker.first() {
                Action::Deliver { message, again: false }
            } else if let Some(call) = world.calls.first() {
                match call {
                    Call::Sent { .. } => Action::Handle { call: 0, outcome: Outcome::Approved },
                    Call::Answered(_) => Action::Answer(0),
                }
            } else if world.charge_may_be_in_transit() {
                Action::ChargeArrives
            } else if world.refund_is_refused() {
                Action::SettleRefund
            } else {
                match world.next_step() {
                    Some(NextStep { due: Due::Ahead, .. }) => Action::StepBecomesDue,
                    Some(_) => Action::TakeStep,
                    // No charge was begun in time, and the order's deadline does the rest.
                    None if world.expired && world.order_status() == Some(OrderStatus::PendingPayment) => {
                        Action::PassDeadline
                    }
                    None => return world,
                }
            };
            world = world.after(next, bug);
        }
        world
    }
}

fn place() -> orders::Trigger {
    orders::Trigger::Place { user_id: Uuid::nil().into(), total: amount(), pay_within: LEASE }
}

fn decision() -> payments::Decision {
    payments::Decision { actor: "o".to_owned(), note: "n".to_owned() }
}

fn declined() -> payments::Trigger {
    payments::Trigger::Declined { transaction_id: "t".to_owned(), reason: "r".to_owned() }
}

fn context(cause: &Cause) -> Context<'_> {
    Context { order_id: Uuid::nil().into(), cause, now: now() }
}

fn amount() -> contracts::Money {
    "9.99".parse().expect("an amount")
}

/// The model has no clock; when an order was cancelled makes no difference to it.
fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}
