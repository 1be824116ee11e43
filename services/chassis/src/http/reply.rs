//! Responses.

use contracts::Problem;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::{debug, error};
use warp::reply::Response;

use crate::database::{FailureKind, StoreError};

/// A JSON response.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    encode(status, "application/json", body)
}

/// A plain text response.
#[must_use]
pub(super) fn text(content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error as the client reads it (RFC 9457).
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "reads better at every place that makes a problem to answer with it"
)]
pub fn problem(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    encode(status, contracts::problem::CONTENT_TYPE, &problem)
}

/// What a query found: 200, 404, or the problem that the database has.
#[must_use]
pub fn found<T: Serialize>(result: Result<Option<T>, StoreError>) -> Response {
    match result {
        Ok(Some(body)) => json(StatusCode::OK, &body),
        Ok(None) => problem(Problem::not_found("There is no such thing.")),
        Err(error) => database_problem(&error),
    }
}

/// A database error as the client may see it: 503 if it is worth trying again, 500 if not, and nothing of its text.
#[must_use]
pub fn database_problem(error: &StoreError) -> Response {
    if error.kind() == FailureKind::Message {
        error!(%error, "a query failed");
        return problem(Problem::new(500, "The request could not be handled."));
    }
    // The database's health has it at warning level, once.
    debug!(%error, "a query failed");
    let mut response = problem(Problem::new(503, "The database can't be reached. Try again."));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn encode(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response {
    let (status, body) = match serde_json::to_vec(body) {
        Ok(body) => (status, body),
        Err(error) => {
            error!(%error, "a response could not be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
