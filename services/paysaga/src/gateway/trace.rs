//! The trace that a request belongs to.

use std::fmt;

use reqwest::header::HeaderValue;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A place in a trace (W3C Trace Context §3.2). What is sent with it becomes part of that trace. Shown as the trace's id,
/// 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    traceparent: HeaderValue,
    id: String,
}

impl Trace {
    /// Reads a `traceparent` header; `None` if it has no trace id.
    pub(super) fn of_traceparent(traceparent: &HeaderValue) -> Option<Self> {
        let id = traceparent.to_str().ok()?.split('-').nth(1)?;
        let is_id = id.len() == 32
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            && id.bytes().any(|byte| byte != b'0');
        is_id.then(|| Self { traceparent: traceparent.clone(), id: id.to_owned() })
    }

    /// The header again.
    pub(super) fn traceparent(&self) -> HeaderValue {
        self.traceparent.clone()
    }
}

/// A `traceparent` of a trace that is not recorded (W3C Trace Context §3.2.2.5: the flag `sampled` is not set).
pub(super) fn not_recorded() -> String {
    let (trace, span) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().simple().to_string());
    format!("00-{trace}-{}-00", &span[..16])
}

impl fmt::Display for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.id)
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_id_is_the_second_field() {
        let of = |header: &str| Trace::of_traceparent(&header.parse().unwrap()).map(|id| id.to_string());
        assert_eq!(
            of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        for none in [
            "",
            "00",
            "00-xyz-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_trace_that_is_not_recorded_is_a_valid_one() {
        let traceparent = not_recorded();
        assert!(Trace::of_traceparent(&traceparent.parse().unwrap()).is_some(), "{traceparent}");
        assert!(traceparent.len() == 55 && traceparent.ends_with("-00"), "{traceparent}");
        assert_ne!(not_recorded(), traceparent);
    }
}
