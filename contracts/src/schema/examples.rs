//! One example of each thing on the wire: the golden files, which the tests read and write byte for byte.

use crate::{EventType, ProblemType};

macro_rules! golden {
    ($path:literal) => {
        include_str!(concat!("../../tests/golden/", $path, ".json")).trim_ascii_end()
    };
}

/// An order.
pub const ORDER: &str = golden!("http/order");
/// A page of orders.
pub const ORDER_PAGE: &str = golden!("http/order-page");
/// The body that places an order.
pub const CREATE_ORDER: &str = golden!("http/create-order");
/// An order was accepted.
pub const ORDER_ACCEPTED: &str = golden!("http/create-order-accepted");
/// The body that cancels an order.
pub const CANCEL_ORDER: &str = golden!("http/cancel-order");
/// A cancellation was accepted.
pub const CANCELLATION_ACCEPTED: &str = golden!("http/cancel-order-accepted");
/// What happened to an order.
pub const TIMELINE: &str = golden!("http/timeline");
/// A page of the steps of all orders.
pub const FEED_PAGE: &str = golden!("http/feed-page");
/// A stream of the steps of an order.
pub const STEPS: &str = include_str!("../../tests/golden/http/steps.txt");
/// A payment.
pub const PAYMENT: &str = golden!("http/payment");
/// A page of payments.
pub const PAYMENT_PAGE: &str = golden!("http/payment-page");
/// The statistics of payments.
pub const PAYMENT_STATS: &str = golden!("http/payment-stats");
/// A page of failed messages.
pub const FAILED_MESSAGE_PAGE: &str = golden!("http/failed-message-page");
/// A failed message with everything that is known about it.
pub const FAILED_MESSAGE: &str = golden!("http/failed-message");
/// The body that has failed messages handled again.
pub const REPLAY: &str = golden!("http/replay");
/// Messages will be handled again.
pub const REPLAY_ACCEPTED: &str = golden!("http/replay-accepted");
/// The body that gives a failed message up.
pub const DISCARD: &str = golden!("http/discard");
/// How orders and payments are doing.
pub const OVERVIEW: &str = golden!("http/overview");
/// The body that gives a failed message another one.
pub const EDIT_MESSAGE: &str = golden!("http/edit-message");
/// Failed messages by cause.
pub const FAILURE_CAUSES: &str = golden!("http/failure-causes");
/// The body that begins a replay.
pub const NEW_REPLAY: &str = golden!("http/new-replay");
/// What a replay would replay.
pub const REPLAY_PREVIEW: &str = golden!("http/replay-preview");
/// A replay.
pub const REPLAY_OPERATION: &str = golden!("http/replay-operation");
/// A page of replays.
pub const REPLAY_OPERATION_PAGE: &str = golden!("http/replay-operation-page");
/// A page of a replay's messages.
pub const REPLAY_MEMBER_PAGE: &str = golden!("http/replay-member-page");
/// The body that pauses, resumes or cancels a replay.
pub const REPLAY_CHANGE: &str = golden!("http/replay-change");
/// A page of refunds.
pub const REFUND_PAGE: &str = golden!("http/refund-page");
/// A refund and what happened to it.
pub const REFUND: &str = golden!("http/refund");
/// The body that has the provider asked once more.
pub const RETRY_REFUND: &str = golden!("http/retry-refund");
/// The body that says how the money went back.
pub const SETTLE_REFUND: &str = golden!("http/settle-refund");
/// What the running check of the books has found.
pub const BOOKS: &str = golden!("http/books");
/// The body that has everything compared now.
pub const BOOKS_PASS: &str = golden!("http/books-pass");

/// The body that has the provider asked now.
pub const ASK_NOW: &str = golden!("http/ask-now");
/// The provider will be asked.
pub const ASK_NOW_ACCEPTED: &str = golden!("http/ask-now-accepted");
/// A part of the audit.
pub const AUDIT_RECORDS: &str = golden!("http/audit-records");

/// A message with this event.
#[must_use]
pub const fn event(event_type: EventType) -> &'static str {
    match event_type {
        EventType::CreateOrderRequested => golden!("events/create-order-requested"),
        EventType::OrderCancelRequested => golden!("events/order-cancel-requested"),
        EventType::OrderCreated => golden!("events/order-created"),
        EventType::OrderCancelled => golden!("events/order-cancelled"),
        EventType::PaymentApproved => golden!("events/payment-approved"),
        EventType::PaymentDeclined => golden!("events/payment-declined"),
        EventType::PaymentFailed => golden!("events/payment-failed"),
        EventType::PaymentCancelled => golden!("events/payment-cancelled"),
        EventType::PaymentRefunded => golden!("events/payment-refunded"),
    }
}

/// A problem of this kind.
#[must_use]
pub const fn problem(problem_type: ProblemType) -> &'static str {
    match problem_type {
        ProblemType::InvalidRequest => golden!("problems/invalid-request"),
        ProblemType::Unauthenticated => golden!("problems/unauthenticated"),
        ProblemType::InsufficientScope => golden!("problems/insufficient-scope"),
        ProblemType::AddressNotAllowed => golden!("problems/address-not-allowed"),
        ProblemType::OriginNotAllowed => golden!("problems/origin-not-allowed"),
        ProblemType::NotFound => golden!("problems/not-found"),
        ProblemType::MethodNotAllowed => golden!("problems/method-not-allowed"),
        ProblemType::RequestTimeout => golden!("problems/request-timeout"),
        ProblemType::StateConflict => golden!("problems/state-conflict"),
        ProblemType::IdempotencyKeyInUse => golden!("problems/idempotency-key-in-use"),
        ProblemType::CursorAhead => golden!("problems/cursor-ahead"),
        ProblemType::ContentTooLarge => golden!("problems/content-too-large"),
        ProblemType::UnsupportedMediaType => golden!("problems/unsupported-media-type"),
        ProblemType::IdempotencyKeyReused => golden!("problems/idempotency-key-reused"),
        ProblemType::TooManyRequests => golden!("problems/too-many-requests"),
        ProblemType::InternalError => golden!("problems/internal-error"),
        ProblemType::UnexpectedAnswer => golden!("problems/unexpected-answer"),
        ProblemType::Overloaded => golden!("problems/overloaded"),
        ProblemType::BrokerUnavailable => golden!("problems/broker-unavailable"),
        ProblemType::OutcomeUnknown => golden!("problems/outcome-unknown"),
        ProblemType::ServiceUnavailable => golden!("problems/service-unavailable"),
        ProblemType::ServiceTimeout => golden!("problems/service-timeout"),
    }
}
