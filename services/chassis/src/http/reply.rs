//! Responses.

use bytes::Bytes;
use contracts::list::{List, ListRequest};
use contracts::page::Listed;
use contracts::{Problem, ProblemType};
use http::{HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use tracing::{debug, error};
use warp::reply::Response;

use crate::database::{FailureKind, StoreError};

/// After how many seconds a request is worth sending again, where nothing better is known.
const RETRY_AFTER: u16 = 1;

/// A response whose body is in memory; a copy shares it.
pub type ReadyResponse = http::Response<Bytes>;

const JSON: &str = "application/json";

/// A JSON response.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    encode(status, JSON, body).map(Into::into)
}

/// 204: it is done, and there is nothing to tell.
#[must_use]
pub fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What a query found: 200, or the problem 404.
pub fn found(body: Option<impl Serialize>) -> Result<Response, Problem> {
    match body {
        Some(body) => Ok(json(StatusCode::OK, &body)),
        None => Err(Problem::not_found("There is no such thing.")),
    }
}

/// A response with a link to what comes next, if there is more (RFC 8288). The link is relative, so that it holds behind
/// the gateway too.
#[must_use]
pub fn with_next<B>(mut response: http::Response<B>, next: Option<String>) -> http::Response<B> {
    let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// A part of a list, with a link to what comes behind its last item. Reading on from there costs the same at any depth.
#[must_use]
pub fn list<L: List, T: Serialize>(
    asked: &ListRequest<L>,
    Listed { body, next }: &Listed<T, L::Id>,
) -> ReadyResponse {
    let next = next.map(|item| format!("?{}", asked.behind(item)));
    let mut response = with_next(encode(StatusCode::OK, JSON, body), next);
    response.headers_mut().insert(contracts::list::HEEDED, HeaderValue::from_static("1"));
    response
}

/// A plain text response.
#[must_use]
pub(super) fn text(content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error as the client reads it (RFC 9457), with the header that belongs to its status.
#[must_use]
pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response: Response = encode(status, contracts::problem::CONTENT_TYPE, problem).map(Into::into);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let is_temporary = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    if let Some(seconds) = problem.retry_after.or(is_temporary.then_some(RETRY_AFTER)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// 405 with the methods that the resource has.
pub(super) fn method_not_allowed(allowed: &[Method]) -> Response {
    let methods = in_words(allowed);
    let detail = format!("This resource takes {methods}.");
    allowing(problem(&Problem::new(ProblemType::MethodNotAllowed, detail)), &methods)
}

/// 204 with the methods that the resource has.
pub(super) fn options(allowed: &[Method]) -> Response {
    allowing(no_content(), &in_words(allowed))
}

fn in_words(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

fn allowing(mut response: Response, methods: &str) -> Response {
    if let Ok(allow) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// A database error as the client may see it: 503 if it is worth trying again, 500 if not, and nothing of its text.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.kind() == FailureKind::Permanent {
            error!(%error, "a database query failed");
            return Self::new(ProblemType::InternalError, "The request could not be handled.");
        }
        // The database's part of the service's health logs it as a warning, once.
        debug!(%error, "a database query failed");
        Self::new(ProblemType::ServiceUnavailable, "The database can't be reached. Try again.")
    }
}

fn encode(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> ReadyResponse {
    let (status, body) = match serde_json::to_vec(body) {
        Ok(body) => (status, body),
        Err(error) => {
            error!(%error, "a response could not be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    };
    let mut response = http::Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
