//! Errors as every HTTP client of ours reads them: `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::problem_type::{ProblemDescription, ProblemType};

/// The media type of a [`Problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong with a request, for the client's developer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What kind of problem it is: a URI reference that stays the same, and leads to its description.
    #[serde(rename = "type", default = "about_blank")]
    pub type_uri: Cow<'static, str>,
    /// The HTTP status code.
    pub status: u16,
    /// The kind in a few words, for people.
    pub title: Cow<'static, str>,
    /// What was wrong this time and, where the client can do something about it, what would be right.
    pub detail: String,
    /// Every member of the input that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<InvalidMember>,
    /// After how many seconds it is worth trying again; the header `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u16>,
}

/// One wrong member of a request's body, path, query or headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// A problem of this kind.
    pub fn new(problem_type: ProblemType, detail: impl Into<String>) -> Self {
        let ProblemDescription { status, title, .. } = problem_type.description();
        Self {
            type_uri: problem_type.uri().into(),
            status,
            title: title.into(),
            detail: detail.into(),
            errors: Vec::new(),
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
        Self { errors, ..Self::new(ProblemType::InvalidRequest, detail) }
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::NotFound, detail)
    }
}

/// What has no `type` means its status and nothing more (RFC 9457 §4.2.1).
fn about_blank() -> Cow<'static, str> {
    "about:blank".into()
}
