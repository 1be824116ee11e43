//! Errors as every HTTP client of ours reads them: `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong with a request, for the client's developer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The HTTP status code.
    pub status: u16,
    /// The status in words, the same for every problem of its kind.
    pub title: String,
    /// What was wrong this time and, where the client can do something about it, what would be right.
    pub detail: String,
    /// Every member of the input that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<InvalidMember>,
    /// Finds the request in the logs and the traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// After how many seconds it is worth trying again; the header `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u16>,
}

/// One wrong member of a request's body, path, query or headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidMember {
    /// Its name as the client wrote it, empty for the body as a whole.
    pub member: String,
    /// What it must be.
    pub detail: String,
}

impl InvalidMember {
    /// A wrong member and what it must be.
    pub fn new(member: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { member: member.into(), detail: detail.into() }
    }
}

impl Problem {
    /// A problem with the standard title of its status code.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: title(status).to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
            correlation_id: None,
            retry_after: None,
        }
    }

    /// 400: the input is wrong, member by member.
    #[must_use]
    pub fn invalid(errors: Vec<InvalidMember>) -> Self {
        let names: Vec<_> =
            errors.iter().map(|e| e.member.as_str()).filter(|name| !name.is_empty()).collect();
        let detail = if names.is_empty() {
            "The request is not valid.".to_owned()
        } else {
            format!("Not valid: {}.", names.join(", "))
        };
        Self { errors, ..Self::new(400, detail) }
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, detail)
    }
}

/// The reason phrase of RFC 9110 §15 (RFC 6585 for 429).
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
