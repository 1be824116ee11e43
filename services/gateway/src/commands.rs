//! Commands: turned into events, and accepted once the broker has them on disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use chassis::broker::{Message, PublishError, Publisher};
use chassis::http::{self, CorrelationId};
use chassis::telemetry::TraceContext;
use contracts::event::{CreateOrderRequested, OrderCancelRequested};
use contracts::order::{
    CancelOrder, CancelOrderAccepted, CreateOrder, CreateOrderAccepted, IdempotencyClaim, Order,
};
use contracts::{Envelope, Event, EventId, OrderId, OrderStatus, Problem};
use tracing::{Span, error, info};
use warp::reply::Response;

use crate::complaint::Complaint;
use crate::upstream::{Change, Query, Upstream};
use crate::{idempotency, preference, queries};

/// After how long the order of a client that waits is looked at first, and then at most how often. Sagas settle within
/// milliseconds where the provider does; where it doesn't, a query now and then is enough.
const POLL_INTERVALS: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(100));

/// Accepts commands.
#[derive(Clone)]
pub(crate) struct Commands {
    publisher: Publisher,
    order: Upstream,
    complaint: Arc<Complaint>,
}

impl Commands {
    pub(crate) fn new(publisher: Publisher, order: Upstream) -> Self {
        Self { publisher, order, complaint: Arc::default() }
    }

    /// `POST /api/orders`
    pub(crate) async fn create(
        &self,
        caller: Arc<str>,
        headers: HeaderMap,
        body: Bytes,
        correlation_id: CorrelationId,
    ) -> Response {
        if let Err(problem) = require_json(&headers) {
            return http::problem(problem);
        }
        let (order, key) = match (CreateOrder::from_json(&body), idempotency::key(&headers)) {
            (Ok(order), Ok(key)) => (order, key),
            (order, key) => {
                let mut errors = order.err().unwrap_or_default();
                errors.extend(key.err());
                return http::problem(Problem::invalid(errors));
            }
        };
        let (order_id, event_id) = match &key {
            Some(key) => {
                let order_id = OrderId::from_idempotency_key(&caller, key);
                if let Err(response) = self.claim(order_id, &order, &correlation_id).await {
                    return response;
                }
                (order_id, EventId::of_keyed_order(order_id))
            }
            None => (OrderId::new(), EventId::new()),
        };
        let CreateOrder { user_id, total } = order;
        let event = CreateOrderRequested { order_id: Some(order_id), user_id, total };
        if let Err(problem) = self.publish(event_id, event, &correlation_id).await {
            return problem;
        }
        info!(order.id = %order_id, caller = &*caller, "order accepted");
        let settled = match preference::wait(&headers) {
            Some(wait) => self.settled(order_id, wait, &correlation_id).await,
            None => None,
        };
        let mut response = match &settled {
            Some(order) => http::json(StatusCode::OK, order),
            None => http::json(StatusCode::ACCEPTED, &CreateOrderAccepted::from(order_id)),
        };
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::from_str(&format!("/api/orders/{order_id}")) {
            headers.insert(header::LOCATION, location);
        }
        if settled.is_some() {
            headers.insert(preference::PREFERENCE_APPLIED, HeaderValue::from_static("wait"));
        }
        response
    }

    /// `PATCH /api/orders/{id}/cancel`; a body is ignored.
    pub(crate) async fn cancel(&self, id: String, correlation_id: CorrelationId) -> Response {
        let order_id = match http::id("id", &id) {
            Ok(id) => id,
            Err(problem) => return http::problem(problem),
        };
        let event = OrderCancelRequested { order_id };
        if let Err(problem) = self.publish(EventId::new(), event, &correlation_id).await {
            return problem;
        }
        info!(order.id = %order_id, "cancellation accepted");
        http::json(StatusCode::ACCEPTED, &CancelOrderAccepted::from(order_id))
    }

    /// `PATCH /api/orders/{id}`
    pub(crate) async fn change(
        &self,
        id: String,
        headers: HeaderMap,
        body: Bytes,
        correlation_id: CorrelationId,
    ) -> Response {
        if let Err(problem) = require_json(&headers) {
            return http::problem(problem);
        }
        match CancelOrder::from_json(&body) {
            Ok(CancelOrder) => self.cancel(id, correlation_id).await,
            Err(mut errors) => {
                let id: Result<OrderId, Problem> = http::id("id", &id);
                errors.extend(id.err().into_iter().flat_map(|problem| problem.errors));
                http::problem(Problem::invalid(errors))
            }
        }
    }

    /// Makes the key stand for this request, or finds that it does already. Two requests with one key and different
    /// bodies may arrive at two gateways at once, so the order service decides which of them has it.
    async fn claim(
        &self,
        order_id: OrderId,
        order: &CreateOrder,
        correlation_id: &CorrelationId,
    ) -> Result<(), Response> {
        let claim = IdempotencyClaim { fingerprint: idempotency::fingerprint(order) };
        let path = format!("/idempotency-keys/{order_id}");
        let query = Query { path: &path, template: "/idempotency-keys/{id}", correlation_id };
        let body = serde_json::to_vec(&claim).map_err(|error| unwritable(&error))?;
        let claim = Change { method: Method::PUT, body: body.into(), actor: None };
        match self.order.change(query, claim).await {
            Ok(answer) if answer.status == StatusCode::OK => Ok(()),
            Ok(answer) if answer.status == StatusCode::UNPROCESSABLE_ENTITY => {
                Err(http::problem(Problem::new(
                    422,
                    "This Idempotency-Key was used with another body. Use a new key for another order.",
                )))
            }
            Ok(answer) => {
                error!(status = %answer.status, "the order service does not keep idempotency keys");
                Err(http::problem(Problem::new(502, "The order service does not keep idempotency keys.")))
            }
            Err(error) => Err(queries::upstream_problem(error)),
        }
    }

    async fn publish(
        &self,
        event_id: EventId,
        event: impl Into<Event>,
        correlation_id: &CorrelationId,
    ) -> Result<(), Response> {
        let envelope =
            Envelope { event_id, ..Envelope::now(event, Some(correlation_id.0.as_ref().to_owned())) };
        let encoded = envelope.encode().map_err(|error| unwritable(&error))?;
        let message = Message::new(&envelope, encoded.body, TraceContext::of(&Span::current()));
        self.publisher.publish(message).await.map_err(|error| {
            let detail = publish_detail(&error);
            self.complaint.about(&error);
            let mut response = http::problem(Problem::new(503, detail));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        })
    }

    /// The order once it is no longer pending, if that happens in time.
    async fn settled(&self, id: OrderId, wait: Duration, correlation_id: &CorrelationId) -> Option<Order> {
        let path = format!("/orders/{id}");
        let deadline = Instant::now() + wait;
        let (mut interval, longest) = POLL_INTERVALS;
        while Instant::now() < deadline {
            tokio::time::sleep(interval.min(wait)).await;
            interval = (interval * 3 / 2).min(longest);
            let query = Query { path: &path, template: "/orders/{id}", correlation_id };
            let answer = self.order.get(query).await.ok().filter(|answer| answer.status == StatusCode::OK);
            let order = answer.and_then(|answer| serde_json::from_slice::<Order>(&answer.body).ok());
            if let Some(order) = order.filter(|order| order.status != OrderStatus::PendingPayment) {
                return Some(order);
            }
        }
        None
    }
}

const fn publish_detail(error: &PublishError) -> &'static str {
    if error.is_ambiguous() {
        "The broker did not confirm in time. The request may have been accepted or not; send it again (an order with \
         the same Idempotency-Key is never placed twice)."
    } else {
        "The broker takes no messages right now. The request was not accepted; send it again."
    }
}

fn unwritable(error: &serde_json::Error) -> Response {
    error!(%error, "a message could not be written as JSON");
    http::problem(Problem::new(500, "The request could not be handled."))
}

/// 415 unless the body is said to be JSON.
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
