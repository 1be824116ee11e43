//! What operators ask of the services behind the gateway.

use std::fmt::Write;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use chassis::http::{self, CorrelationId};
use contracts::Problem;
use warp::reply::Response;

use crate::access::Access;
use crate::queries::upstream_problem;
use crate::upstream::{Answer, Change, Query, Upstream, UpstreamError};

/// Passes operators' requests on to the service that they are about.
#[derive(Clone)]
pub(crate) struct Admin {
    access: Access,
    order: Upstream,
    payment: Upstream,
}

/// A request about the failed messages of a service.
pub(crate) struct Request {
    pub(crate) service: String,
    /// The path below `/failed-messages`.
    pub(crate) rest: &'static str,
    /// The failed message, where it is about one.
    pub(crate) id: Option<String>,
    pub(crate) query: String,
    pub(crate) body: Bytes,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) correlation_id: CorrelationId,
}

impl Admin {
    pub(crate) const fn new(access: Access, order: Upstream, payment: Upstream) -> Self {
        Self { access, order, payment }
    }

    /// `/api/admin/{service}/failed-messages…`
    pub(crate) async fn failed_messages(&self, request: Request) -> Response {
        let operator = match self.operator(&request.headers) {
            Ok(operator) => operator,
            Err(problem) => return http::problem(problem),
        };
        let service = match request.service.as_str() {
            "order" => &self.order,
            "payment" => &self.payment,
            _ => {
                return http::problem(Problem::not_found(
                    "The services with failed messages are order and payment.",
                ));
            }
        };
        let mut path = "/failed-messages".to_owned();
        if let Some(id) = &request.id {
            match http::id::<uuid::Uuid>("id", id) {
                // Writing to a String can't fail.
                Ok(id) => _ = write!(path, "/{id}"),
                Err(problem) => return http::problem(problem),
            }
        }
        path.push_str(request.rest);
        if !request.query.is_empty() {
            path = format!("{path}?{}", request.query);
        }
        let query =
            Query { path: &path, template: "/failed-messages", correlation_id: &request.correlation_id };
        pass_on(match request.method {
            Method::GET => service.get(query).await,
            method => {
                service.change(query, Change { method, body: request.body, actor: Some(&operator) }).await
            }
        })
    }

    /// The caller, if they may do an operator's work.
    fn operator(&self, headers: &HeaderMap) -> Result<Arc<str>, Problem> {
        let caller = self.access.caller(headers).unwrap_or_default();
        if self.access.is_operator(&caller) {
            Ok(caller)
        } else {
            Err(Problem::new(403, "This API key is not an operator's (OPERATORS names those that are)."))
        }
    }
}

/// The service's answer: what it found or did, or its problem, which is one of ours.
fn pass_on(answer: Result<Answer, UpstreamError>) -> Response {
    let Answer { status, content_type, body } = match answer {
        Ok(answer) => answer,
        Err(error) => return upstream_problem(error),
    };
    let known = [
        StatusCode::OK,
        StatusCode::ACCEPTED,
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
    ];
    if !known.contains(&status) {
        return http::problem(Problem::new(502, format!("A service behind the gateway answered {status}.")));
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.unwrap_or(json));
    response
}
