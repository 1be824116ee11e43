//! Errors of requests to the gateway, as an operator reads them.

use std::error::Error;
use std::fmt;
use std::io;

use contracts::Problem;
use reqwest::StatusCode;

use super::GatewayUrl;

/// A request to the gateway failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nothing listens at the address.
    #[error("nothing answers at {0}; is `paysaga up` running?")]
    ConnectionRefused(GatewayUrl),
    /// No answer in time. The request may have been carried out or not.
    #[error("{0} did not answer in time")]
    TimedOut(GatewayUrl),
    /// The network or TLS failed. The request may have been carried out or not.
    #[error("cannot talk to {url}: {reason}")]
    Connection {
        /// Which gateway.
        url: GatewayUrl,
        /// What happened.
        reason: String,
    },
    /// The gateway refused the request.
    #[error("{url} refused: {refusal}")]
    Refused {
        /// Which gateway.
        url: GatewayUrl,
        /// Why.
        refusal: Refusal,
    },
    /// An answer that the gateway never gives.
    #[error("{url} answered {status}, but not as the gateway does: {reason}")]
    UnexpectedAnswer {
        /// Which gateway.
        url: GatewayUrl,
        /// The answer's status.
        status: StatusCode,
        /// What is wrong with it.
        reason: String,
    },
}

/// A problem (RFC 9457) in one line.
#[derive(Clone, Debug)]
pub struct Refusal(pub Problem);

impl GatewayError {
    /// Whether the gateway refused for now: too much is waiting, or the broker takes nothing.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status() == Some(StatusCode::SERVICE_UNAVAILABLE.as_u16())
    }

    /// Whether the same request may be answered in a moment: there was no answer, or something is away behind who gave it.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.status().is_none_or(|status| matches!(status, 502..=504))
    }

    /// The status of the answer, or `no answer`: to count errors by.
    #[must_use]
    pub fn answer(&self) -> String {
        self.status().map_or_else(|| "no answer".to_owned(), |status| status.to_string())
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.0.status),
            Self::UnexpectedAnswer { status, .. } => Some(status.as_u16()),
            Self::ConnectionRefused(_) | Self::TimedOut(_) | Self::Connection { .. } => None,
        }
    }

    pub(super) fn no_answer(url: &GatewayUrl, error: reqwest::Error) -> Self {
        let url = url.clone();
        if error.is_timeout() {
            return Self::TimedOut(url);
        }
        // reqwest's own text is "error sending request"; the cause is at the end of the chain.
        let error = error.without_url();
        let chain =
            || std::iter::successors(Some(&error as &(dyn Error + 'static)), |error| (*error).source());
        let mut io_errors = chain().filter_map(|error| error.downcast_ref::<io::Error>());
        if io_errors.any(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return Self::ConnectionRefused(url);
        }
        Self::Connection { url, reason: chain().last().map_or_else(String::new, ToString::to_string) }
    }

    /// An answer that is no success.
    pub(super) fn refused(url: &GatewayUrl, status: StatusCode, body: &str) -> Self {
        serde_json::from_str(body).map_or_else(
            |_| {
                let begins: String = body.chars().take(200).collect();
                Self::unexpected(url, status, &format!("no problem+json but {begins:?}"))
            },
            |problem| Self::Refused { url: url.clone(), refusal: Refusal(problem) },
        )
    }

    pub(super) fn unexpected(url: &GatewayUrl, status: StatusCode, reason: &str) -> Self {
        Self::UnexpectedAnswer { url: url.clone(), status, reason: reason.to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The time after which to try again is in a header, not in the body.
        let Problem { type_uri: _, status, title, detail, errors, retry_after: _ } = &self.0;
        write!(formatter, "{status} {title}: {detail}")?;
        for error in errors {
            let member = if error.member.is_empty() { "the body" } else { &error.member };
            write!(formatter, " {member}: {}.", error.detail)?;
        }
        if *status == StatusCode::UNAUTHORIZED {
            formatter.write_str(" Give it with --api-key-file.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use contracts::ProblemType;
    use contracts::problem::InvalidMember;

    use super::*;

    fn refused(status: StatusCode, body: &str) -> GatewayError {
        GatewayError::refused(&"http://127.0.0.1:3000".parse().unwrap(), status, body)
    }

    #[test]
    fn a_problem_is_shown_with_status_detail_and_every_member() {
        let problem = Problem::invalid(vec![
            InvalidMember::new("userId", "must be a UUID"),
            InvalidMember::new("total", "must be greater than 0"),
        ]);
        let error = refused(StatusCode::BAD_REQUEST, &serde_json::to_string(&problem).unwrap());
        assert_eq!(
            error.to_string(),
            "http://127.0.0.1:3000 refused: 400 Invalid request: Not valid: userId, total. userId: must be a UUID. \
             total: must be greater than 0."
        );
        assert_eq!(error.status(), Some(400));
    }

    #[test]
    fn a_missing_api_key_is_answered_with_how_to_give_one() {
        let problem =
            Problem::new(ProblemType::Unauthenticated, "An API key is needed: Authorization: Bearer <key>.");
        let error = refused(StatusCode::UNAUTHORIZED, &serde_json::to_string(&problem).unwrap());
        assert!(error.to_string().ends_with("--api-key-file."), "{error}");
    }

    #[test]
    fn what_is_refused_for_good_does_not_pass() {
        let url: GatewayUrl = "http://127.0.0.1:3000".parse().unwrap();
        assert!(
            GatewayError::ConnectionRefused(url.clone()).may_pass() && GatewayError::TimedOut(url).may_pass()
        );
        for (status, passes) in
            [(401, false), (403, false), (500, false), (502, true), (503, true), (504, true)]
        {
            let error = refused(StatusCode::from_u16(status).unwrap(), "");
            assert_eq!(error.may_pass(), passes, "{status}");
        }
    }

    #[test]
    fn an_answer_of_another_server_is_shown_but_not_at_length() {
        let error = refused(StatusCode::BAD_GATEWAY, &format!("<html>{}", "x".repeat(10_000)));
        let text = error.to_string();
        assert!(
            text.contains("502 Bad Gateway, but not as the gateway does") && text.contains("<html>xxx"),
            "{text}"
        );
        assert!(text.len() < 400, "{text}");
    }
}
