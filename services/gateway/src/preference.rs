//! `Prefer: wait=N` (RFC 7240 §4.3): a client that waits for the result instead of asking for it later.

use std::time::Duration;

use contracts::header::preferred_wait;
use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The response header that tells which preferences were honoured (RFC 7240 §3).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long the client is ready to wait.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    preferred_wait(headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok()))
}
