//! Commands: turned into events, and accepted once the broker has them on disk.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use ::http::{HeaderMap, HeaderValue, header};
use chassis::broker::{Message, PublishError};
use chassis::http::{CorrelationId, Request, Response};
use chassis::telemetry::{METER, TraceContext};
use contracts::event::{CreateOrderRequested, OrderCancelRequested};
use contracts::order::{
    CancelOrder, CancelOrderAccepted, CreateOrder, CreateOrderAccepted, IdempotencyClaim, StoredAnswer,
};
use contracts::problem::InvalidMember;
use contracts::{Envelope, Event, EventId, OrderId, Problem, ProblemType};
use opentelemetry::metrics::Counter;
use tracing::field::display;
use tracing::{Span, debug, error, info};

use crate::audit::{self, Attempt};
use crate::idempotency::{self, Answer, Begun};
use crate::outcome::Wait;
use crate::{Gateway, access, preference};

static ACCEPTED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.orders.accepted")
        .with_description(
            "Orders that were accepted, those that were executed again under their key included.",
        )
        .build()
});

/// `POST /api/orders`
pub(crate) async fn create(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let arrived = Instant::now();
    require_json(&request.headers)?;
    let (order, key) = read_order(&request).await?;
    // The client may wait for the outcome.
    request.body.forget();
    let caller = access::caller(&request)?;
    gateway.admission.admit(&caller.name).await?;
    let claim = key.map(|key| IdempotencyClaim {
        owner: caller.name.clone(),
        key,
        fingerprint: idempotency::fingerprint_of_order(&order),
    });
    let is_keyed = claim.is_some();
    let begun = gateway.keys.begin(&request, caller, claim).await?;
    let event_id = begun.id().map_or_else(EventId::new, EventId::of_keyed_order);
    let order_id = begun.id().unwrap_or_default();
    Span::current().record("order.id", display(order_id));
    let answer = match begun {
        Begun::Answered(_, answer) => answer,
        Begun::Execution(execution) => {
            let wait = preference::wait(&request.headers).map(|wait| wait.saturating_sub(arrived.elapsed()));
            // One that is executed again under its key may have settled.
            let wait = wait.and_then(|time| Wait::begin(&gateway, caller, order_id, time, is_keyed));
            let placed = place(&gateway, &request, order, order_id, event_id, wait).await;
            execution.finish(placed).await?
        }
    };
    let is_settled = answer.is_settled();
    let mut response = answer.into_response(&CreateOrderAccepted::from(order_id));
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/orders/{order_id}")) {
        headers.insert(header::LOCATION, location);
    }
    if is_settled {
        headers.insert(preference::PREFERENCE_APPLIED, HeaderValue::from_static("wait"));
    }
    Ok(response)
}

/// Asks for the order, and waits for its outcome if the client does.
async fn place(
    gateway: &Gateway,
    request: &Request,
    order: CreateOrder,
    order_id: OrderId,
    event_id: EventId,
    wait: Option<Wait>,
) -> Result<StoredAnswer, Problem> {
    let caller = access::caller(request)?;
    let CreateOrder { user_id, total } = order;
    let owner = Some(caller.name.clone());
    let event = CreateOrderRequested { order_id: Some(order_id), user_id, total, owner };
    publish(gateway, event_id, event, &request.correlation_id).await?;
    ACCEPTED.add(1, &[]);
    info!(caller = caller.name.as_str(), "order accepted");
    let settled = match wait {
        Some(wait) => wait.settled(gateway, &request.correlation_id).await,
        None => None,
    };
    Ok(settled.as_ref().and_then(Answer::settled).unwrap_or(Answer::accepted()))
}

/// `PATCH /api/orders/{id}/cancel`; a body is ignored.
pub(crate) async fn cancel(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let (order_id, key) = read_cancellation(&request, Vec::new())?;
    request.body.read().await?;
    cancel_order(&gateway, &request, order_id, key).await
}

/// `PATCH /api/orders/{id}`
pub(crate) async fn change(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    require_json(&request.headers)?;
    let errors = CancelOrder::from_json(&request.body.read().await?).err().unwrap_or_default();
    let (order_id, key) = read_cancellation(&request, errors)?;
    cancel_order(&gateway, &request, order_id, key).await
}

/// Has an order cancelled for an operator, who says why.
pub(crate) async fn cancel_for_operator(
    gateway: &Gateway,
    request: &Request,
    order_id: OrderId,
    reason: &str,
) -> Result<(), Problem> {
    let mut attempt = Attempt::new(&gateway.audit, audit::cancellation(request, order_id));
    attempt.because(reason);
    let admitted = gateway.admission.admit(&access::caller(request)?.name).await;
    let requested = match admitted {
        Ok(()) => request_cancellation(gateway, request, order_id, EventId::new()).await,
        Err(problem) => Err(problem),
    };
    attempt.answered(requested.as_ref().err().map_or(202, |problem| problem.status));
    requested
}

async fn cancel_order(
    gateway: &Gateway,
    request: &Request,
    order_id: OrderId,
    key: Option<String>,
) -> Result<Response, Problem> {
    let caller = access::caller(request)?;
    gateway.admission.admit(&caller.name).await?;
    let claim = key.map(|key| IdempotencyClaim {
        owner: caller.name.clone(),
        key,
        fingerprint: idempotency::fingerprint_of_cancellation(order_id),
    });
    let begun = gateway.keys.begin(request, caller, claim).await?;
    let event_id = begun.id().map_or_else(EventId::new, EventId::of_keyed_cancellation);
    let answer = match begun {
        Begun::Answered(_, answer) => answer,
        Begun::Execution(execution) => {
            let attempt = Attempt::new(&gateway.audit, audit::cancellation(request, order_id));
            let requested = request_cancellation(gateway, request, order_id, event_id).await;
            attempt.answered(requested.as_ref().err().map_or(202, |problem| problem.status));
            execution.finish(requested.map(|()| Answer::accepted())).await?
        }
    };
    Ok(answer.into_response(&CancelOrderAccepted::from(order_id)))
}

/// Asks for a cancellation of what the caller may cancel.
async fn request_cancellation(
    gateway: &Gateway,
    request: &Request,
    order_id: OrderId,
    event_id: EventId,
) -> Result<(), Problem> {
    let event = OrderCancelRequested { order_id, owner: Some(access::may_cancel(request)?) };
    let published = publish(gateway, event_id, event, &request.correlation_id).await;
    // The record for the audit has told who asked for it.
    debug!(accepted = published.is_ok(), "cancellation requested");
    published
}

/// The order that the body asks for, and its idempotency key, or everything that is wrong with either.
async fn read_order(request: &Request) -> Result<(CreateOrder, Option<String>), Problem> {
    match (CreateOrder::from_json(&request.body.read().await?), idempotency::key(&request.headers)) {
        (Ok(order), Ok(key)) => Ok((order, key)),
        (order, key) => {
            let mut errors = order.err().unwrap_or_default();
            errors.extend(key.err());
            Err(Problem::invalid(errors))
        }
    }
}

/// The order that is to be cancelled, and the idempotency key, or everything that is wrong: with either, and before.
fn read_cancellation(
    request: &Request,
    mut errors: Vec<InvalidMember>,
) -> Result<(OrderId, Option<String>), Problem> {
    let order_id: Result<OrderId, Problem> = request.id("id");
    match (order_id, idempotency::key(&request.headers)) {
        (Ok(order_id), Ok(key)) if errors.is_empty() => Ok((order_id, key)),
        (order_id, key) => {
            errors.extend(order_id.err().into_iter().flat_map(|problem| problem.errors));
            errors.extend(key.err());
            Err(Problem::invalid(errors))
        }
    }
}

async fn publish(
    gateway: &Gateway,
    event_id: EventId,
    event: impl Into<Event>,
    correlation_id: &CorrelationId,
) -> Result<(), Problem> {
    let envelope = Envelope { event_id, ..Envelope::now(event, Some(correlation_id.0.as_ref().to_owned())) };
    let encoded = envelope.encode().map_err(|error| not_serialisable(&error))?;
    let message = Message::new(&envelope, encoded.body, TraceContext::of(&Span::current()));
    gateway.publisher.publish(message).await.map_err(|error| {
        gateway.publish_failures.record(&error);
        not_published(&error)
    })
}

fn not_published(error: &PublishError) -> Problem {
    if error.is_ambiguous() {
        Problem::new(
            ProblemType::OutcomeUnknown,
            "The broker did not confirm in time. The request may have been accepted or not; send it again (with the same \
             Idempotency-Key it has no second effect).",
        )
    } else {
        Problem::new(
            ProblemType::BrokerUnavailable,
            "The broker takes no messages right now. The request was not accepted; send it again.",
        )
    }
}

fn not_serialisable(error: &serde_json::Error) -> Problem {
    error!(%error, "a message could not be written as JSON");
    Problem::new(ProblemType::InternalError, "The request could not be handled.")
}

/// 415 unless the `Content-Type` is JSON.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Problem::new(
            ProblemType::UnsupportedMediaType,
            "The body must be JSON, with Content-Type: application/json.",
        ))
    }
}
