//! The answer to a command that was accepted: what is stored under its key, and a response again.

use ::http::{HeaderName, HeaderValue, StatusCode, header};
use chassis::http::{self, Response};
use contracts::order::{Order, StoredAnswer};
use serde::Serialize;

/// Tells that a response is the stored answer to an earlier request.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer to a command that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    stored: StoredAnswer,
    is_replayed: bool,
}

impl Answer {
    /// The command was accepted. Its body follows from the order's id, so it is not stored.
    pub(crate) const fn accepted() -> StoredAnswer {
        StoredAnswer { status: 202, body: None }
    }

    /// The command was accepted, and the order has settled. It may change again, so it is stored as it is now.
    pub(crate) fn settled(order: &Order) -> Option<StoredAnswer> {
        let body = serde_json::to_string(order).ok()?;
        Some(StoredAnswer { status: 200, body: Some(body) })
    }

    /// The answer to this request.
    pub(super) const fn first(stored: StoredAnswer) -> Self {
        Self { stored, is_replayed: false }
    }

    /// The answer to an earlier request.
    pub(super) const fn replayed(stored: StoredAnswer) -> Self {
        Self { stored, is_replayed: true }
    }

    /// Whether it tells the order as it settled.
    pub(crate) const fn is_settled(&self) -> bool {
        self.stored.body.is_some()
    }

    /// The response; `accepted` is its body if none is stored.
    pub(crate) fn into_response(self, accepted: &impl Serialize) -> Response {
        let status = StatusCode::from_u16(self.stored.status).unwrap_or(StatusCode::ACCEPTED);
        let mut response = match self.stored.body {
            None => http::json(status, accepted),
            Some(body) => {
                let mut response = Response::new(body.into());
                *response.status_mut() = status;
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
        };
        if self.is_replayed {
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
