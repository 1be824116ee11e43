//! Queries: asked of the service that owns the answer, and passed on as it gave it.

use ::http::{HeaderValue, StatusCode, header};
use chassis::http::{self, CorrelationId};
use contracts::page::PageRequest;
use contracts::{OrderId, PaymentId, Problem};
use warp::reply::Response;

use crate::upstream::{Answer, Query, Upstream, UpstreamError};

/// Answers queries.
#[derive(Clone)]
pub(crate) struct Queries {
    order: Upstream,
    payment: Upstream,
}

impl Queries {
    pub(crate) const fn new(order: Upstream, payment: Upstream) -> Self {
        Self { order, payment }
    }

    pub(crate) async fn orders(&self, page: PageRequest, correlation_id: CorrelationId) -> Response {
        list(&self.order, "/orders", page, &correlation_id).await
    }

    pub(crate) async fn order(&self, id: String, correlation_id: CorrelationId) -> Response {
        one::<OrderId>(&self.order, "/orders/{id}", "id", &id, &correlation_id).await
    }

    pub(crate) async fn timeline(&self, id: String, correlation_id: CorrelationId) -> Response {
        one::<OrderId>(&self.order, "/orders/{id}/events", "id", &id, &correlation_id).await
    }

    pub(crate) async fn payments(&self, page: PageRequest, correlation_id: CorrelationId) -> Response {
        list(&self.payment, "/payments", page, &correlation_id).await
    }

    pub(crate) async fn payment(&self, id: String, correlation_id: CorrelationId) -> Response {
        one::<PaymentId>(&self.payment, "/payments/{id}", "id", &id, &correlation_id).await
    }

    pub(crate) async fn payment_of_order(&self, id: String, correlation_id: CorrelationId) -> Response {
        one::<OrderId>(&self.payment, "/payments/order/{orderId}", "orderId", &id, &correlation_id).await
    }

    pub(crate) async fn stats(&self, correlation_id: CorrelationId) -> Response {
        let path = "/payments/stats";
        pass_on(self.payment.get(Query { path, template: path, correlation_id: &correlation_id }).await)
    }
}

async fn list(
    service: &Upstream,
    template: &'static str,
    page: PageRequest,
    correlation_id: &CorrelationId,
) -> Response {
    let path = format!("{template}?page={}&limit={}", page.page(), page.limit());
    pass_on(service.get(Query { path: &path, template, correlation_id }).await)
}

async fn one<Id: std::str::FromStr + std::fmt::Display>(
    service: &Upstream,
    template: &'static str,
    name: &str,
    id: &str,
    correlation_id: &CorrelationId,
) -> Response {
    let id: Id = match http::id(name, id) {
        Ok(id) => id,
        Err(problem) => return http::problem(problem),
    };
    let path = template.replace(&format!("{{{name}}}"), &id.to_string());
    pass_on(service.get(Query { path: &path, template, correlation_id }).await)
}

/// A service's answer as the client gets it: what was found, byte for byte, or a problem in our own words.
fn pass_on(answer: Result<Answer, UpstreamError>) -> Response {
    match answer {
        Ok(Answer { status: StatusCode::OK, body, .. }) => {
            let mut response = Response::new(body.into());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Ok(Answer { status: StatusCode::NOT_FOUND, .. }) => {
            http::problem(Problem::not_found("There is no such thing."))
        }
        Ok(Answer { status, .. }) => {
            http::problem(Problem::new(502, format!("A service behind the gateway answered {status}.")))
        }
        Err(error) => upstream_problem(error),
    }
}

/// 504 or 503, and when to try again.
pub(crate) fn upstream_problem(error: UpstreamError) -> Response {
    let detail = format!("{}{}. Try again.", "T", &error.to_string()[1..]);
    match error {
        UpstreamError::Timeout(_) => http::problem(Problem::new(504, detail)),
        UpstreamError::Unavailable(_) => {
            let mut response = http::problem(Problem::new(503, detail));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}
