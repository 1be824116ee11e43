//! The state of everything that takes part in one saga, and what follows when something happens to it.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::aggregate::{Cause, Context};
use contracts::{Event, EventType, OrderStatus, Owner, PaymentStatus, Timestamp};
use order::domain as orders;
use payment::domain::{self as payments, Due, Expiry, LastCharge, NextStep, Refund, Step, StepReason};
use uuid::Uuid;

use crate::actions::Action;
use crate::faults::PlantedBug;
use crate::provider::{Answer, Call, Outcome, Provider, StepName};

/// The model has no clock, so any value will do.
const LEASE: Duration = Duration::from_secs(1);

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub order: orders::OrderState,
    /// Its next step is due now or later; how much later does not matter.
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
pub const RESULTS: [Message; 3] =
    [Message::PaymentApproved, Message::PaymentDeclined, Message::PaymentFailed];

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
            Action::Handle { call, outcome } => {
                world.calls[call] = world.provider.handle(world.calls[call].clone(), outcome, bug);
            }
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
            Action::AskNow => world.ask_now(bug),
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
            // Why it is due counts only until it is.
            if next.due == Due::Reached {
                next.reason = StepReason::New;
            }
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
    pub fn refund_is_refused(&self) -> bool {
        self.payment().is_some_and(|payment| matches!(payment.refund, Refund::Refused { .. }))
    }

    /// Whether a charge is in transit to the provider.
    pub fn charge_is_in_transit(&self) -> bool {
        self.calls.iter().any(|call| matches!(call, Call::Sent { step: StepName::Charge, .. }))
    }

    /// Whether the payment service must assume that one is.
    pub fn charge_may_be_in_transit(&self) -> bool {
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
            Message::Cancel => self.trigger_order(&Order::Cancel { by: Owner::anonymous().into() }, bug),
            Message::PaymentApproved => self.trigger_order(&Order::PaymentApproved, bug),
            Message::PaymentDeclined => self.trigger_order(&Order::PaymentDeclined, bug),
            Message::PaymentFailed => self.trigger_order(&Order::PaymentFailed, bug),
            Message::OrderCreated => {
                let expires_at = Some(if self.expired { now() } else { now() + LEASE });
                self.trigger_payment(
                    &Payment::OrderCreated {
                        owner: Owner::anonymous(),
                        amount: amount(),
                        expires_at,
                        lease: None,
                    },
                    bug,
                );
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
        if bug == Some(PlantedBug::NoOrderTombstone)
            && matches!(self.order, orders::OrderState::CancelledEarly(_))
        {
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
            && matches!(self.payment, payments::PaymentState::CancelledEarly(_))
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

    fn ask_now(&mut self, bug: Option<PlantedBug>) {
        self.trigger_payment(&payments::Trigger::AskNow, bug);
        let payments::PaymentState::Known(payments::Payment { status, next: Some(next), .. }) =
            &mut self.payment
        else {
            return;
        };
        let is_last_look = *status == PaymentStatus::Cancelled && next.reason == StepReason::New;
        match bug {
            Some(PlantedBug::AskedInHand) => next.due = Due::Now,
            Some(PlantedBug::AskedForLastLook) if is_last_look => next.due = Due::Now,
            Some(PlantedBug::AskedToCharge) if next.due.is_reached() => next.step = Step::Charge,
            _ => {}
        }
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
    let owner = Owner::anonymous();
    orders::Trigger::Place { owner, user_id: Uuid::nil().into(), total: amount(), pay_within: LEASE }
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
