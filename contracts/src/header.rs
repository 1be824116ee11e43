//! What clients and proxies say in the headers of a request. Each is read from the text of its value.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 255;

/// Longest `x-correlation-id`, in bytes.
const MAX_CORRELATION_ID: usize = 128;

/// The longest wait for a result, in seconds.
const MAX_WAIT: u64 = 30;

/// In no network.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The credentials in the value of `Authorization` (RFC 6750 §2.1).
#[must_use]
pub fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The key in the value of `Idempotency-Key`, bare or as the quoted string of the IETF's draft
/// (draft-ietf-httpapi-idempotency-key-header): 1 to [`MAX_IDEMPOTENCY_KEY`] visible ASCII characters and spaces.
#[must_use]
pub fn idempotency_key(value: &str) -> Option<&str> {
    unquote(value.trim()).filter(|key| {
        (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    })
}

fn unquote(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|key| !key.contains(['"', '\\'])),
        None => Some(text).filter(|key| !key.contains('"')),
    }
}

/// The value of `x-correlation-id`, if it is 1 to 128 visible ASCII characters. What a client sends ends up in logs and
/// messages, so other characters are not accepted.
#[must_use]
pub fn correlation_id(value: &str) -> Option<&str> {
    let visible = || value.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=MAX_CORRELATION_ID).contains(&value.len()) && visible()).then_some(value)
}

/// How long the client is ready to wait, by its `Prefer: wait=N` (RFC 7240 §4.3). A preference that can't be read is ignored
/// (RFC 7240 §2).
pub fn preferred_wait<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Duration> {
    values
        .into_iter()
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u64>().ok())
        .map(|seconds| Duration::from_secs(seconds.min(MAX_WAIT)))
}

/// Whether the client asks for server-sent events, by its `Accept` (RFC 9110 §12.5.1): it names them, and would not as soon have
/// JSON. `*/*` does not.
pub fn accepts_event_stream<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut stream, mut json) = (0.0, 0.0);
    for range in values.into_iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality =
            parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        if name.eq_ignore_ascii_case("text/event-stream") {
            stream = quality;
        } else if name.eq_ignore_ascii_case("application/json") {
            json = quality;
        }
    }
    stream > json
}

/// Which client a request comes from, by the values of `X-Forwarded-For` as they were received: the last address that is none
/// of the proxies'. What a client writes into the header itself comes before that, and is not read.
pub fn forwarded_client<'a>(
    values: impl DoubleEndedIterator<Item = &'a str>,
    peer: IpAddr,
    is_proxy: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    for hop in values.rev().flat_map(|value| value.rsplit(',')) {
        if !is_proxy(client) {
            break;
        }
        // What a proxy says that can't be read is no address of the proxy either.
        client = address(hop.trim()).unwrap_or(UNKNOWN);
    }
    client
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    text.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_by_its_name() {
        for value in [
            "text/event-stream",
            "Text/Event-Stream;q=0.5",
            "text/event-stream, */*",
            "application/json;q=0.9, text/event-stream",
        ] {
            assert!(accepts_event_stream([value]), "{value}");
        }
        for value in [
            "*/*",
            "text/*",
            "application/json",
            "",
            "text/event-stream;q=0",
            "text/event-streams",
            "application/json, text/event-stream",
        ] {
            assert!(!accepts_event_stream([value]), "{value}");
        }
    }

    #[test]
    fn a_token_follows_the_scheme() {
        for value in ["Bearer key", "bearer  key ", "BEARER key"] {
            assert_eq!(bearer_token(value), Some("key"), "{value}");
        }
        for value in ["Basic key", "key", "Bearer", ""] {
            assert_eq!(bearer_token(value), None, "{value}");
        }
    }

    #[test]
    fn bare_and_quoted_keys_are_the_same() {
        assert_eq!(idempotency_key("k 1"), Some("k 1"));
        assert_eq!(idempotency_key(" \"k 1\" "), Some("k 1"));
        for wrong in ["", "\"\"", "\"", "\"open", "in\"side", "caf\u{e9}", &"x".repeat(256)] {
            assert_eq!(idempotency_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_correlation_id_is_visible_and_short() {
        let longest = "x".repeat(128);
        assert_eq!(correlation_id(&longest), Some(longest.as_str()));
        for wrong in ["", "a b", "a\tb", "caf\u{e9}", &"x".repeat(129)] {
            assert_eq!(correlation_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_wait_is_found_among_other_preferences() {
        let seconds = |value: &str| preferred_wait([value]).map(|wait| wait.as_secs());
        assert_eq!(seconds("wait=5"), Some(5));
        assert_eq!(seconds("respond-async, Wait = 10"), Some(10));
        assert_eq!(seconds("wait=99999"), Some(30));
        for none in ["respond-async", "wait", "wait=soon", "wait=-1"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
