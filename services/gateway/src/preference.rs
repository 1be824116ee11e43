//! `Prefer: wait=N` (RFC 7240 §4.3): a client that waits for the result instead of asking for it later.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The response header that tells which preferences were honoured (RFC 7240 §3).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest wait, in seconds.
const MAX_WAIT: u64 = 30;

/// How long the client is ready to wait. A preference that can't be read is ignored (RFC 7240 §2).
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u64>().ok())
        .map(|seconds| Duration::from_secs(seconds.min(MAX_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_found_among_other_preferences() {
        let seconds = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, value.parse().unwrap());
            wait(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(seconds("wait=5"), Some(5));
        assert_eq!(seconds("respond-async, Wait = 10"), Some(10));
        assert_eq!(seconds("wait=99999"), Some(30));
        for none in ["respond-async", "wait", "wait=soon", "wait=-1"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
