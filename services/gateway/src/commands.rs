//! Commands: turned into events, and accepted once the broker has them on disk.

use std::sync::{Arc, LazyLock};

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use chassis::broker::{Message, PublishError};
use chassis::http::{self, CorrelationId, Request, Response};
use chassis::telemetry::{METER, TraceContext};
use contracts::event::{CreateOrderRequested, OrderCancelRequested};
use contracts::order::{
    CancelOrder, CancelOrderAccepted, CreateOrder, CreateOrderAccepted, IdempotencyClaim, IdempotencyClaimed,
};
use contracts::{Envelope, Event, EventId, OrderId, Owner, OwnerFilter, Problem};
use opentelemetry::metrics::Counter;
use tracing::field::display;
use tracing::{Span, debug, error, info};

use crate::audit::{self, Attempt};
use crate::bulkhead::Kind;
use crate::outcome::Wait;
use crate::upstream::UpstreamRequest;
use crate::{Gateway, access, idempotency, preference};

static ACCEPTED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.orders.accepted")
        .with_description("Orders that were accepted, repeated ones included.")
        .build()
});

/// `POST /api/orders`
pub(crate) async fn create(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    require_json(&request.headers)?;
    let (order, key) = read_order(&request).await?;
    // The client may wait for the outcome.
    request.body.forget();
    let caller = access::caller(&request)?;
    gateway.admission.admit(&caller.name).await?;
    let (order_id, event_id, is_repeated) = match key {
        Some(key) => {
            let claimed = claim(&gateway, caller.name.clone(), key, &order, &request.correlation_id).await?;
            note_repetition(&claimed);
            (claimed.order_id, EventId::of_keyed_order(claimed.order_id), claimed.is_repeated)
        }
        None => (OrderId::new(), EventId::new(), false),
    };
    Span::current().record("order.id", display(order_id));
    let CreateOrder { user_id, total } = order;
    let owner = Some(caller.name.clone());
    let event = CreateOrderRequested { order_id: Some(order_id), user_id, total, owner };
    let wait =
        preference::wait(&request.headers).and_then(|time| Wait::begin(&gateway, caller, order_id, time));
    publish(&gateway, event_id, event, &request.correlation_id).await?;
    ACCEPTED.add(1, &[]);
    info!(caller = caller.name.as_str(), "order accepted");
    let outcome = match wait {
        Some(wait) => wait.settled(&gateway, is_repeated, &request.correlation_id).await,
        None => None,
    };
    let mut response = match &outcome {
        Some(order) => http::json(StatusCode::OK, order),
        None => http::json(StatusCode::ACCEPTED, &CreateOrderAccepted::from(order_id)),
    };
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/orders/{order_id}")) {
        headers.insert(header::LOCATION, location);
    }
    if outcome.is_some() {
        headers.insert(preference::PREFERENCE_APPLIED, HeaderValue::from_static("wait"));
    }
    Ok(response)
}

/// `PATCH /api/orders/{id}/cancel`; a body is ignored.
pub(crate) async fn cancel(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let order_id = request.id("id")?;
    request.body.read().await?;
    let owner = Some(access::may_cancel(&request)?);
    gateway.admission.admit(&access::caller(&request)?.name).await?;
    let event = OrderCancelRequested { order_id, owner };
    let attempt = Attempt::new(&gateway.audit, audit::cancellation(&request, order_id));
    let published = publish(&gateway, EventId::new(), event, &request.correlation_id).await;
    attempt.answered(published.as_ref().err().map_or(202, |problem| problem.status));
    published?;
    // The record for the audit has told who asked for it.
    debug!("cancellation accepted");
    Ok(http::json(StatusCode::ACCEPTED, &CancelOrderAccepted::from(order_id)))
}

/// `PATCH /api/orders/{id}`
pub(crate) async fn change(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    require_json(&request.headers)?;
    match CancelOrder::from_json(&request.body.read().await?) {
        Ok(CancelOrder) => cancel(gateway, request).await,
        Err(mut errors) => {
            let id: Result<OrderId, Problem> = request.id("id");
            errors.extend(id.err().into_iter().flat_map(|problem| problem.errors));
            Err(Problem::invalid(errors))
        }
    }
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

/// Binds a client's idempotency key to this request, and returns the order that it stands for; 422 if it is bound to another
/// request. Two gateways may receive one key with different bodies at once, so the order service decides.
async fn claim(
    gateway: &Gateway,
    owner: Owner,
    key: String,
    order: &CreateOrder,
    correlation_id: &CorrelationId,
) -> Result<IdempotencyClaimed, Problem> {
    let claim = IdempotencyClaim { owner, key, fingerprint: idempotency::fingerprint(order) };
    let body = serde_json::to_vec(&claim).map_err(|error| not_serialisable(&error))?;
    let route = "/idempotency-keys";
    let request = UpstreamRequest {
        method: Method::PUT,
        kind: Kind::Change,
        body: body.into(),
        ..UpstreamRequest::get(route, route.to_owned(), OwnerFilter::Any, correlation_id)
    };
    let response = gateway.order.send(&request).await?;
    let not_kept = || Problem::new(502, "The order service does not keep idempotency keys.");
    match response.status {
        StatusCode::OK => serde_json::from_slice(&response.body).map_err(|_| not_kept()),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Problem::new(
            422,
            "This Idempotency-Key was used with another body. Use a new key for another order.",
        )),
        status => {
            error!(%status, "unexpected response of the order service to an idempotency key");
            Err(not_kept())
        }
    }
}

/// Says in the trace that a request repeats another, and links to that.
fn note_repetition(claimed: &IdempotencyClaimed) {
    if claimed.is_repeated {
        let placed_at = claimed.placed_at.clone().map(TraceContext::from_traceparent);
        placed_at.unwrap_or_default().repeated_in(&Span::current());
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
        Problem::new(503, publish_detail(&error))
    })
}

const fn publish_detail(error: &PublishError) -> &'static str {
    if error.is_ambiguous() {
        "The broker did not confirm in time. The request may have been accepted or not; send it again (an order with \
         the same Idempotency-Key is never placed twice)."
    } else {
        "The broker takes no messages right now. The request was not accepted; send it again."
    }
}

fn not_serialisable(error: &serde_json::Error) -> Problem {
    error!(%error, "a message could not be written as JSON");
    Problem::new(500, "The request could not be handled.")
}

/// 415 unless the `Content-Type` is JSON.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Problem::new(415, "The body must be JSON, with Content-Type: application/json."))
    }
}
