//! Why an order is not done: where it waits, since when, what comes next, and what an operator may do about it. Pure.

use contracts::diagnosis::{NextProviderStep, OrderDiagnosis, PaymentDiagnosis};
use contracts::failed_message::{FailedMessage, FailedMessageStatus};
use contracts::status::final_states_agree;
use contracts::topology::{Queue, Service};
use contracts::{OrderStatus, PaymentId, PaymentStatus, Timestamp, Word};
use uuid::Uuid;

/// What the order service has.
pub(super) type Order = OrderDiagnosis<Word, Word, Word>;

/// What the payment service has.
pub(super) type Payment = PaymentDiagnosis<Word, Word>;

/// Where an order stands, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) state: State,
    /// Where it waits, or how it ended.
    pub(super) place: String,
    /// Since when.
    pub(super) since: Option<Timestamp>,
    /// What comes next.
    pub(super) next: String,
    /// When.
    pub(super) due: Option<Timestamp>,
    /// When the order is cancelled, unless its payment has a result by then.
    pub(super) deadline: Option<Timestamp>,
    /// What an operator may do about it.
    pub(super) actions: Vec<Action>,
}

/// Whether something is still to happen, and whether it will by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is left to happen.
    Settled,
    /// It goes on by itself.
    Waiting,
    /// It goes on when an operator has decided.
    Stuck,
    /// It can't be told now.
    Unknown,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Cancel the order.
    Cancel,
    /// Have the provider asked now.
    AskNow,
    /// Look at the failed message, and replay it.
    Replay(Service, Uuid),
    /// Decide about the refused refund.
    DecideRefund(PaymentId),
    /// Look at what does not agree.
    Books,
}

/// What is known where a service may not answer.
pub(super) struct Known<'a> {
    /// None if the order service does not answer.
    pub(super) order: Option<&'a Order>,
    /// None if the payment service does not answer.
    pub(super) payment: Option<&'a Payment>,
    pub(super) now: Timestamp,
}

/// Where it waits, before what may be done about it is added.
fn at(place: impl Into<String>, since: Option<Timestamp>, next: impl Into<String>) -> Explanation {
    let (place, next) = (place.into(), next.into());
    Explanation { state: State::Waiting, place, since, next, due: None, deadline: None, actions: Vec::new() }
}

impl Explanation {
    fn stuck(self) -> Self {
        Self { state: State::Stuck, ..self }
    }

    fn settled(self) -> Self {
        Self { state: State::Settled, ..self }
    }

    fn unknown(self) -> Self {
        Self { state: State::Unknown, ..self }
    }

    fn due(self, due: Timestamp) -> Self {
        Self { due: Some(due), ..self }
    }

    fn may(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }
}

/// Why an order stands where it does.
pub(super) fn explain(known: &Known<'_>) -> Explanation {
    let Some(order) = known.order else {
        let next = "What is known of it is shown when the order service is back.";
        return at("The order service does not answer.", None, next).unknown();
    };
    let explanation = place(order, known);
    let explanation = Explanation { deadline: order.deadline, ..explanation };
    let status = order.order.as_ref().and_then(|order| order.status.parse().ok());
    match status {
        Some(OrderStatus::PendingPayment | OrderStatus::Paid) => explanation.may(Action::Cancel),
        _ => explanation,
    }
}

fn place(diagnosis: &Order, known: &Known<'_>) -> Explanation {
    let Some(order) = &diagnosis.order else { return not_stored(diagnosis, known.payment) };
    let Ok(status) = order.status.parse::<OrderStatus>() else {
        let place = format!("Its status {} is one of a newer version of the order service.", order.status);
        return at(place, Some(order.updated_at), "Nothing that this version knows of.").unknown();
    };
    let Some(payment) = known.payment else {
        let next = "What happens to its payment is shown when the payment service is back.";
        return at("The payment service does not answer.", None, next).unknown();
    };
    let stored = payment.payment.as_ref();
    let payment_status: Option<PaymentStatus> = stored.and_then(|stored| stored.status.parse().ok());
    if let Some(stored) = stored.filter(|_| payment_status.is_none()) {
        let place = format!("The payment's status {} is one of a newer version.", stored.status);
        return at(place, Some(stored.updated_at), "Nothing that this version knows of.").unknown();
    }
    if let Some((reason, stored)) = payment.refund_refusal.as_ref().zip(stored) {
        let place = format!("The provider refused for good to give the money back: {reason}");
        let next = "An operator decides: ask the provider once more, or give the money back by other means.";
        return at(place, payment.refund_owed_since, next).stuck().may(Action::DecideRefund(stored.id));
    }
    // Of a cancelled order without a payment, only the mark of its cancellation says that it is never charged.
    let is_never_paid = diagnosis.is_cancelled_early || payment.is_cancelled_early;
    let agree = final_states_agree(status, payment_status) && (stored.is_some() || is_never_paid);
    let is_settled = agree && payment.next_step.is_none();
    if let Some((service, message)) = dead_letter(diagnosis, payment).filter(|_| !is_settled) {
        let FailedMessage { id, queue, reason, last_seen, .. } = message;
        let place = format!("A message about it failed on {queue}: {reason}");
        let waiting = at(place, Some(*last_seen), "An operator decides about the message.");
        return waiting.stuck().may(Action::Replay(service, *id));
    }
    let changed = stored.map_or(order.updated_at, |stored| stored.updated_at.max(order.updated_at));
    if is_settled {
        let next = match status {
            OrderStatus::Paid => "Nothing, unless it is cancelled; then the money goes back.",
            _ => "Nothing.",
        };
        return at(ended(status, payment_status), Some(changed), next).settled();
    }
    if let Some(event) = diagnosis.outbox.first() {
        return outbox("order", &event.event_type, event.created_at);
    }
    if let Some(event) = payment.outbox.first() {
        return outbox("payment", &event.event_type, event.created_at);
    }
    if payment.next_step.is_some() {
        return at_provider(payment, agree.then(|| ended(status, payment_status)), known.now);
    }
    match (status, payment_status) {
        (OrderStatus::PendingPayment, None) => {
            in_queue(Queue::PaymentOrderCreated, "order.created", order.updated_at)
        }
        (OrderStatus::PendingPayment, Some(PaymentStatus::Cancelled)) => {
            let place = "It was not charged in time, and is charged no more.";
            at(place, payment.expires_at, "The order is cancelled at its deadline.")
        }
        (OrderStatus::PendingPayment, Some(_)) => {
            let since = stored.map_or(order.updated_at, |stored| stored.updated_at);
            in_queue(Queue::OrderPaymentResult, "the payment's result", since)
        }
        (OrderStatus::Cancelled, None | Some(PaymentStatus::Processing | PaymentStatus::Approved)) => {
            in_queue(Queue::PaymentOrderCancelled, "order.cancelled", order.updated_at)
        }
        (status, payment) => {
            let payment =
                payment.map_or_else(|| "there is no payment".to_owned(), |it| format!("its payment {it}"));
            let place = format!("The records do not agree: the order is {status}, {payment}.");
            at(place, Some(changed), "Nothing by itself.").stuck().may(Action::Books)
        }
    }
}

fn not_stored(diagnosis: &Order, payment: Option<&Payment>) -> Explanation {
    if let Some(event) = diagnosis.outbox.first() {
        return outbox("order", &event.event_type, event.created_at);
    }
    if let Some(message) = diagnosis.failed_messages.iter().find(|message| is_open(message)) {
        let place = format!("Its command failed on {}: {}", message.queue, message.reason);
        let failed = at(place, Some(message.last_seen), "An operator decides about the message.");
        return failed.stuck().may(Action::Replay(Service::Order, message.id));
    }
    if let Some(stored) = payment.and_then(|payment| payment.payment.as_ref()) {
        let place = format!("There is no such order, but a payment for it, which is {}.", stored.status);
        return at(place, Some(stored.created_at), "Nothing by itself.").stuck().may(Action::Books);
    }
    if diagnosis.is_cancelled_early {
        let next = "Should it be placed after all, it is cancelled at once, and never charged.";
        return at("Its cancellation came, but not the order itself.", None, next);
    }
    let place = format!("It is not stored. Its command may be in {}.", Queue::OrderCreate);
    at(place, None, "The order service stores it when it has read the command.")
}

/// The failed message that holds it up.
fn dead_letter<'a>(order: &'a Order, payment: &'a Payment) -> Option<(Service, &'a FailedMessage<Word>)> {
    let of = |service, messages: &'a [FailedMessage<Word>]| {
        messages.iter().find(|message| is_open(message)).map(|message| (service, message))
    };
    of(Service::Order, &order.failed_messages).or_else(|| of(Service::Payment, &payment.failed_messages))
}

fn is_open(message: &FailedMessage<Word>) -> bool {
    message.status == <&str>::from(FailedMessageStatus::Failed)
}

fn outbox(service: &str, event_type: &str, since: Timestamp) -> Explanation {
    let place =
        format!("{event_type} is in the {service} service's outbox: it is not known to be on the broker.");
    at(place, Some(since), "It is published as soon as the broker takes it.")
}

fn in_queue(queue: Queue, what: &str, since: Timestamp) -> Explanation {
    let service = queue.consumer();
    let place =
        format!("The {service} service has not handled {what}: it is in {queue}, or on its way there.");
    at(place, Some(since), format!("The {service} service handles it in its turn."))
}

fn ended(order: OrderStatus, payment: Option<PaymentStatus>) -> String {
    match payment {
        None => format!("It has settled: {order}, and was never to be paid."),
        Some(payment) => format!("It has settled: {order}, its payment {payment}."),
    }
}

/// It waits for the provider; `ended` says how it ended, if only a last look is left.
fn at_provider(payment: &Payment, ended: Option<String>, now: Timestamp) -> Explanation {
    let Some(NextProviderStep { step, reason, due_at }) = &payment.next_step else {
        return at("The provider is not to be asked.", None, "Nothing.");
    };
    let wanted = match step.as_str() {
        "CHARGE" => "asked to take the money",
        "LOOKUP" => "asked what became of the charge",
        "REFUND" => "asked to give the money back",
        _ => "asked",
    };
    let (attempts, error) = match &payment.payment {
        Some(stored) => (stored.attempts, stored.last_error.as_deref()),
        None => (0, None),
    };
    let opened = payment.payment.as_ref().map(|stored| stored.created_at);
    let since = if step == "REFUND" { payment.refund_owed_since.or(opened) } else { opened };
    let next = format!("The provider is {wanted}.");
    let is_ahead = *due_at > now;
    match (reason.as_deref(), ended) {
        (Some("lease_lapsed"), _) if is_ahead => {
            let place = format!("A replica is asking the provider (attempt {attempts}).");
            at(place, None, "The answer, or at this time another replica asks again.").due(*due_at)
        }
        (Some("new"), Some(ended)) if step == "LOOKUP" && is_ahead => {
            let next = "The provider is asked once more whether a charge came late; should it have, the money goes back.";
            at(ended, None, next).settled().due(*due_at)
        }
        (Some("retry"), _) if is_ahead => {
            let error = error.unwrap_or("no answer");
            let place = format!("The pause after attempt {attempts}, which brought nothing: {error}");
            at(place, since, next).due(*due_at).may(Action::AskNow)
        }
        _ if payment.is_breaker_open => {
            let place = "The provider does not answer, so it is not asked for now (circuit breaker).";
            at(place, since, next).due(*due_at)
        }
        _ if is_ahead => at("The time of the next step has not come.", since, next).due(*due_at),
        _ => at("It waits for its turn at the provider.", Some(*due_at), next),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contracts::diagnosis::UnpublishedEvent;
    use contracts::{EventId, OrderId, UserId, order, payment};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn order(status: &str) -> Order {
        let (id, user_id) = (OrderId::from(Uuid::nil()), UserId::from(Uuid::nil()));
        let stored = order::Order {
            id,
            user_id,
            total: "9.99".parse().unwrap(),
            status: status.to_owned(),
            cancel_reason: None,
            created_at: now(),
            updated_at: now(),
            owner: None,
        };
        Order { order: Some(stored), ..Order::default() }
    }

    fn payment(status: &str, next: Option<(&str, &str, i64)>) -> Payment {
        let order_id = OrderId::from(Uuid::nil());
        let stored = payment::Payment {
            id: PaymentId::of_order(order_id),
            order_id,
            amount: "9.99".parse().unwrap(),
            status: status.to_owned(),
            transaction_id: None,
            attempts: 3,
            last_error: Some("timeout".to_owned()),
            created_at: now(),
            updated_at: now(),
            owner: None,
        };
        let next_step = next.map(|(step, reason, in_seconds)| NextProviderStep {
            step: step.to_owned(),
            reason: Some(reason.to_owned()),
            due_at: (now().as_datetime() + Duration::from_hours(1)
                - Duration::from_secs(u64::try_from(3600 - in_seconds).unwrap()))
            .into(),
        });
        Payment { payment: Some(stored), next_step, ..Payment::default() }
    }

    fn explained(order: &Order, payment: Option<&Payment>) -> (State, String, Vec<Action>) {
        let Explanation { state, place, actions, .. } =
            explain(&Known { order: Some(order), payment, now: now() });
        (state, place, actions)
    }

    fn failed(queue: &str) -> FailedMessage<Word> {
        FailedMessage {
            id: Uuid::nil(),
            queue: queue.to_owned(),
            exchange: String::new(),
            routing_key: String::new(),
            status: "FAILED".to_owned(),
            reason: "not JSON".to_owned(),
            attempts: 1,
            first_seen: now(),
            last_seen: now(),
            event_type: None,
            message_id: None,
            correlation_id: None,
            trace_id: None,
            cause: None,
            order_id: None,
            amount: None,
        }
    }

    #[test]
    fn every_place_has_its_name_and_its_actions() {
        use State as S;
        let pending = order("PENDING_PAYMENT");
        let (early, cancelled) =
            (Payment { is_cancelled_early: true, ..Payment::default() }, order("CANCELLED"));
        let (cancel, ask) = (Action::Cancel, Action::AskNow);
        let processing = |next| Some(payment("PROCESSING", Some(next)));
        let of = |status| Some(payment(status, None));
        for (order, payment, state, words, actions) in [
            (&Order::default(), Some(Payment::default()), S::Waiting, "order.create.queue", vec![]),
            (
                &Order::default(),
                of("APPROVED"),
                S::Stuck,
                "no such order, but a payment",
                vec![Action::Books],
            ),
            (&pending, None, S::Unknown, "does not answer", vec![cancel]),
            (&pending, Some(Payment::default()), S::Waiting, "payment.order-created.queue", vec![cancel]),
            (
                &pending,
                processing(("LOOKUP", "retry", 90)),
                S::Waiting,
                "brought nothing: timeout",
                vec![ask, cancel],
            ),
            (
                &pending,
                processing(("LOOKUP", "lease_lapsed", 9)),
                S::Waiting,
                "A replica is asking",
                vec![cancel],
            ),
            (
                &pending,
                processing(("LOOKUP", "lease_lapsed", -9)),
                S::Waiting,
                "waits for its turn",
                vec![cancel],
            ),
            (
                &pending,
                processing(("CHARGE", "asked_for", 0)),
                S::Waiting,
                "waits for its turn",
                vec![cancel],
            ),
            (&pending, of("CANCELLED"), S::Waiting, "charged no more", vec![cancel]),
            (&pending, of("APPROVED"), S::Waiting, "order.payment-result.queue", vec![cancel]),
            (&order("PAID"), of("APPROVED"), S::Settled, "PAID, its payment APPROVED", vec![cancel]),
            (
                &order("PAID"),
                of("DECLINED"),
                S::Stuck,
                "do not agree: the order is PAID, its payment DECLINED",
                vec![Action::Books, cancel],
            ),
            (&order("FAILED"), None, S::Unknown, "does not answer", vec![]),
            (
                &order("FAILED"),
                Some(Payment::default()),
                S::Stuck,
                "FAILED, there is no payment",
                vec![Action::Books],
            ),
            (&cancelled, of("APPROVED"), S::Waiting, "payment.order-cancelled.queue", vec![]),
            (&cancelled, of("PROCESSING"), S::Waiting, "payment.order-cancelled.queue", vec![]),
            (
                &cancelled,
                Some(payment("APPROVED", Some(("REFUND", "retry", 9)))),
                S::Waiting,
                "after attempt 3",
                vec![ask],
            ),
            (
                &cancelled,
                Some(payment("CANCELLED", Some(("LOOKUP", "new", 900)))),
                S::Settled,
                "CANCELLED, its payment CANCELLED",
                vec![],
            ),
            (&cancelled, of("REFUNDED"), S::Settled, "CANCELLED, its payment REFUNDED", vec![]),
            // Payment may come to the order before it comes to its cancellation.
            (&cancelled, Some(Payment::default()), S::Waiting, "payment.order-cancelled.queue", vec![]),
            (&cancelled, Some(early), S::Settled, "never to be paid", vec![]),
            (&order("SHIPPED"), Some(Payment::default()), S::Unknown, "newer version", vec![]),
        ] {
            let (found, place, may) = explained(order, payment.as_ref());
            assert!(place.contains(words), "{place}");
            assert_eq!((found, may), (state, actions), "{place}");
        }
    }

    #[test]
    fn a_dead_letter_is_named_before_the_queue_that_it_came_from() {
        let mut payment = Payment::default();
        payment.failed_messages.push(failed("payment.order-created.queue"));
        let (state, place, actions) = explained(&order("PENDING_PAYMENT"), Some(&payment));
        assert_eq!(state, State::Stuck);
        assert!(place.contains("failed on payment.order-created.queue: not JSON"), "{place}");
        assert_eq!(actions[0], Action::Replay(Service::Payment, Uuid::nil()));
        let mut unstored = Order::default();
        unstored.failed_messages.push(failed("order.create.queue"));
        assert_eq!(
            explained(&unstored, Some(&Payment::default())).2,
            [Action::Replay(Service::Order, Uuid::nil())]
        );
    }

    #[test]
    fn what_is_not_published_is_in_the_outbox() {
        let mut order = order("PENDING_PAYMENT");
        order.outbox.push(UnpublishedEvent {
            event_id: EventId::new(),
            event_type: "OrderCreated".to_owned(),
            created_at: now(),
        });
        let (state, place, _) = explained(&order, Some(&Payment::default()));
        assert!(
            state == State::Waiting && place.contains("OrderCreated is in the order service's outbox"),
            "{place}"
        );
    }

    #[test]
    fn a_refused_refund_waits_for_an_operator() {
        let mut payment = payment("APPROVED", None);
        payment.refund_refusal = Some("account closed".to_owned());
        let (state, place, actions) = explained(&order("CANCELLED"), Some(&payment));
        assert!(state == State::Stuck && place.contains("account closed"), "{place}");
        assert_eq!(actions, [Action::DecideRefund(payment.payment.unwrap().id)]);
    }
}
