//! The kinds of problems that a request can meet, each with a URI that stays the same (RFC 9457 §3.1.1).

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A kind of problem. Clients decide by it, or by the status; titles and details are for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum ProblemType {
    /// A member, a parameter or a header is missing, unknown or wrong.
    InvalidRequest,
    /// There is no valid API key.
    Unauthenticated,
    /// The key is valid, and not for this.
    InsufficientScope,
    /// The key is valid, and not from there.
    AddressNotAllowed,
    /// A web page of another origin asked.
    OriginNotAllowed,
    /// There is nothing under this path.
    NotFound,
    /// There is something, but not for this method.
    MethodNotAllowed,
    /// The body took too long.
    RequestTimeout,
    /// What is asked for does not fit the state that the thing is in.
    StateConflict,
    /// Another request with the same key is under way.
    IdempotencyKeyInUse,
    /// The cursor is of a time that the database was set back behind.
    CursorAhead,
    /// The body is too large.
    ContentTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The key stands for another request.
    IdempotencyKeyReused,
    /// The caller uses more than its share.
    TooManyRequests,
    /// An error of ours.
    InternalError,
    /// A service behind the gateway gave an answer that the gateway does not understand.
    UnexpectedAnswer,
    /// More waits than can be settled soon.
    Overloaded,
    /// The broker takes nothing at the moment.
    BrokerUnavailable,
    /// The broker did not say whether it has the request.
    OutcomeUnknown,
    /// Something that the answer needs is away.
    ServiceUnavailable,
    /// Something that the answer needs did not answer in time.
    ServiceTimeout,
}

/// What clients are told about a kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemDescription {
    /// The HTTP status code.
    pub status: u16,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What the client can do.
    pub remedy: &'static str,
}

impl ProblemType {
    /// The path of the gateway under which each kind is described.
    pub const PATH: &str = "/api/problems/";

    /// The URI reference that names it: a path of the gateway.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{}{self}", Self::PATH)
    }

    /// What clients are told about it.
    #[must_use]
    pub const fn description(self) -> ProblemDescription {
        let (status, title, meaning, remedy) = self.row();
        ProblemDescription { status, title, meaning, remedy }
    }

    #[expect(clippy::too_many_lines, reason = "a table, one row a kind")]
    const fn row(self) -> (u16, &'static str, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (
                400,
                "Invalid request",
                "A member of the body, a parameter of the path or the query, or a header is missing, unknown or wrong. \
                 `errors` names each of them and says what it must be.",
                "Mend what `errors` names. The same request is never accepted.",
            ),
            Self::Unauthenticated => (
                401,
                "Not authenticated",
                "The request has no API key, or one that is unknown, damaged, revoked or expired.",
                "Send `Authorization: Bearer <key>` with a key of this gateway.",
            ),
            Self::InsufficientScope => (
                403,
                "Insufficient scope",
                "The API key is valid, but lacks the scope that `detail` names.",
                "Use a key with this scope; an operator makes one with `paysaga key new`.",
            ),
            Self::AddressNotAllowed => (
                403,
                "Address not allowed",
                "The API key may only be used from certain networks, and the request came from another one.",
                "Send the request from a network of the key, or have its networks changed.",
            ),
            Self::OriginNotAllowed => (
                403,
                "Origin not allowed",
                "The page that sent the request is of an origin that may not call the gateway, or the method or a header \
                 is not allowed for pages.",
                "Have the origin added to `CORS_ORIGINS`.",
            ),
            Self::NotFound => (
                404,
                "Not found",
                "There is no such resource, or it belongs to another client. An order may not be there yet for a moment \
                 after it was accepted.",
                "Check the id. Directly after `202`, ask again a moment later.",
            ),
            Self::MethodNotAllowed => (
                405,
                "Method not allowed",
                "The resource exists, but does not take this method.",
                "Use a method that the header `Allow` names.",
            ),
            Self::RequestTimeout => (
                408,
                "Request timeout",
                "The body of the request did not arrive in time.",
                "Send it again; with the same `Idempotency-Key` nothing happens twice.",
            ),
            Self::StateConflict => (
                409,
                "Conflict with the present state",
                "What is asked for does not fit the state of the resource, which `detail` names.",
                "Read the resource and decide anew.",
            ),
            Self::IdempotencyKeyInUse => (
                409,
                "Idempotency key in use",
                "Another request with the same `Idempotency-Key` is under way and has no answer yet.",
                "Send it again after `Retry-After`; then the first answer is repeated.",
            ),
            Self::CursorAhead => (
                410,
                "Cursor ahead of the database",
                "The cursor is of a time that is not there any more: the database was restored to an earlier moment.",
                "Read the orders anew, and begin without a cursor.",
            ),
            Self::ContentTooLarge => {
                (413, "Content too large", "The body is larger than 64 KiB.", "Send less.")
            }
            Self::UnsupportedMediaType => (
                415,
                "Unsupported media type",
                "The body is not declared as JSON.",
                "Send JSON, with `Content-Type: application/json`.",
            ),
            Self::IdempotencyKeyReused => (
                422,
                "Idempotency key reused",
                "The `Idempotency-Key` was used with another request: another body, method or resource.",
                "Use a new key for a new request, and the same one only to repeat a request.",
            ),
            Self::TooManyRequests => (
                429,
                "Too many requests",
                "The caller sends more requests than its key allows, or has too many requests or streams open at once.",
                "Wait for `Retry-After`; the headers `RateLimit` and `RateLimit-Policy` say what is left.",
            ),
            Self::InternalError => (
                500,
                "Internal error",
                "The request could not be handled because of an error of the service. The log has it under the correlation id of the response (`x-correlation-id`).",
                "Report it with `x-correlation-id`. A command with an `Idempotency-Key` may be sent again.",
            ),
            Self::UnexpectedAnswer => (
                502,
                "Unexpected answer",
                "A service behind the gateway gave an answer that the gateway does not understand.",
                "Report it with `x-correlation-id`.",
            ),
            Self::Overloaded => (
                503,
                "Overloaded",
                "More orders wait than can be settled soon. The request was not accepted.",
                "Send it again after `Retry-After`.",
            ),
            Self::BrokerUnavailable => (
                503,
                "Broker unavailable",
                "The broker takes no messages at the moment. The request was not accepted.",
                "Send it again after `Retry-After`.",
            ),
            Self::OutcomeUnknown => (
                503,
                "Outcome unknown",
                "It was not confirmed in time that the request is stored: it may have been accepted or not.",
                "Send it again with the same `Idempotency-Key`: nothing happens twice. Without a key, look before you \
                 repeat it.",
            ),
            Self::ServiceUnavailable => (
                503,
                "Service unavailable",
                "Something that the answer needs, a service or its database, is away or has too much to do.",
                "Send it again after `Retry-After`.",
            ),
            Self::ServiceTimeout => (
                504,
                "Service timeout",
                "A service behind the gateway did not answer in time (`REQUEST_TIMEOUT`).",
                "Send it again.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_is_a_path_of_the_gateway() {
        assert_eq!(ProblemType::IdempotencyKeyReused.uri(), "/api/problems/idempotency-key-reused");
    }

    #[test]
    fn no_two_have_the_same_title() {
        let titles: std::collections::BTreeSet<_> =
            ProblemType::VARIANTS.iter().map(|problem| problem.description().title).collect();
        assert_eq!(titles.len(), ProblemType::VARIANTS.len());
    }
}
