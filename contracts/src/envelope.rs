//! The JSON object around every event on the broker.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;

use crate::{Event, EventId, EventType, OrderId, Timestamp};

/// One event with its identity: `{"eventType","eventId","occurredAt","correlationId"?,"payload":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Names the event. It stays the same however often the event is published, delivered or replayed.
    pub event_id: EventId,
    /// When it happened, by the clock of the service that published it.
    pub occurred_at: Timestamp,
    /// Joins everything that one request of a client caused.
    pub correlation_id: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Why the body of a message is not an envelope of ours. Such a message can never be processed: it is poison.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not JSON, or a member of the envelope is missing or has the wrong type.
    #[error("not an event envelope: {0}")]
    Envelope(#[source] serde_json::Error),
    /// An `eventType` that the contract does not know.
    #[error("unknown eventType `{0}`")]
    UnknownEventType(String),
    /// The payload breaks the contract of its type.
    #[error("payload of {event_type}: {source}")]
    Payload {
        /// The type that the envelope names.
        event_type: EventType,
        /// What serde found.
        source: serde_json::Error,
    },
}

/// The envelope as it stands on the wire, its payload unread.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming<'a> {
    event_type: String,
    event_id: EventId,
    occurred_at: Timestamp,
    correlation_id: Option<String>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    event_type: EventType,
    event_id: EventId,
    occurred_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    payload: &'a RawValue,
}

/// An envelope as JSON.
#[derive(Clone, Debug)]
pub struct EncodedEnvelope {
    /// The body of the message.
    pub body: String,
    /// The payload alone, as it stands in the body.
    pub payload: Box<RawValue>,
}

impl Envelope {
    /// A new event that happens now.
    #[must_use]
    pub fn now(event: impl Into<Event>, correlation_id: Option<String>) -> Self {
        Self { event_id: EventId::new(), occurred_at: Timestamp::now(), correlation_id, event: event.into() }
    }

    /// Reads a message body. Members that the contract doesn't know are ignored. NUL characters, which PostgreSQL can't
    /// store, are read as U+FFFD.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let body = without_nul(body);
        let incoming: Incoming<'_> = serde_json::from_slice(&body).map_err(DecodeError::Envelope)?;
        let event_type: EventType = incoming
            .event_type
            .parse()
            .map_err(|_| DecodeError::UnknownEventType(incoming.event_type.chars().take(64).collect()))?;
        let event = Event::decode_payload(event_type, incoming.payload)
            .map_err(|source| DecodeError::Payload { event_type, source })?;
        Ok(Self {
            event_id: incoming.event_id,
            occurred_at: incoming.occurred_at,
            correlation_id: incoming.correlation_id,
            event,
        })
    }

    /// Writes the envelope as JSON, its payload once. Fails only if a payload could not be written as JSON, which no
    /// payload of the contract can.
    pub fn encode(&self) -> serde_json::Result<EncodedEnvelope> {
        let payload = to_raw_value(&self.event)?;
        let body = serde_json::to_string(&Outgoing {
            event_type: self.event.event_type(),
            event_id: self.event_id,
            occurred_at: self.occurred_at,
            correlation_id: self.correlation_id.as_deref(),
            payload: &payload,
        })?;
        Ok(EncodedEnvelope { body, payload })
    }

    /// The order whose saga this event belongs to. A `CreateOrderRequested` that names no order gets the one derived
    /// from its event id, so that every delivery of it means the same order.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        self.event.order_id().unwrap_or_else(|| OrderId::from_create_event(self.event_id))
    }
}

/// JSON in which no string holds a NUL. It can stand there as an escape only.
fn without_nul(json: &[u8]) -> Cow<'_, [u8]> {
    const NUL: &[u8] = br"\u0000";
    if !json.windows(NUL.len()).any(|window| window == NUL) {
        return Cow::Borrowed(json);
    }
    let mut clean = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(&first) = rest.first() {
        // A backslash and what it escapes are read together: the one in `\\u0000` is no part of an escape of NUL.
        let length = if first == b'\\' { 2.min(rest.len()) } else { 1 };
        if rest.starts_with(NUL) {
            clean.extend_from_slice(br"\ufffd");
            rest = &rest[NUL.len()..];
        } else {
            clean.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_replaced_and_what_only_looks_like_one_is_not() {
        let clean = |json: &str| String::from_utf8(without_nul(json.as_bytes()).into_owned()).unwrap();
        assert_eq!(clean(r#"{"a":"x\u0000y\u0000"}"#), r#"{"a":"x\ufffdy\ufffd"}"#);
        assert_eq!(clean(r#"{"a":"C:\\u0000"}"#), r#"{"a":"C:\\u0000"}"#);
        assert_eq!(clean(r#"{"a":"\\\u0000\"#), r#"{"a":"\\\ufffd\"#);
    }
}
