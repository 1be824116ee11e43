//! An event as an AMQP message.

use std::collections::HashMap;

use contracts::topology::{Queue, Route};
use contracts::{Envelope, EventId, EventType, OrderId};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::Serialize;
use sqlx::FromRow;

use crate::telemetry::TraceContext;
use crate::text::storable;

/// An event on its way out: from a transition through the outbox, whose row it is, to the broker, or straight from the
/// gateway.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct Message {
    /// The event's id, and the message's.
    pub event_id: EventId,
    /// What the event is; its route follows from it.
    pub event_type: EventType,
    /// The order whose saga it belongs to.
    pub order_id: OrderId,
    /// Joins everything that one request of a client caused.
    pub correlation_id: Option<String>,
    /// Where in which trace the event arose.
    #[serde(rename = "trace_context")]
    #[sqlx(json, rename = "trace_context")]
    pub trace: TraceContext,
    /// The envelope as JSON.
    pub body: String,
}

/// Persistent delivery mode (AMQP 0-9-1 §4.2.6).
const PERSISTENT: u8 = 2;

impl Message {
    /// The message of an event that arose at `trace`. `body` is the encoded envelope.
    #[must_use]
    pub fn new(envelope: &Envelope, body: String, trace: TraceContext) -> Self {
        Self {
            event_id: envelope.event_id,
            event_type: envelope.event.event_type(),
            order_id: envelope.order_id(),
            correlation_id: envelope.correlation_id.clone(),
            trace,
            body,
        }
    }

    /// Messages by the queue that they go to.
    pub(crate) fn by_queue(messages: Vec<Self>) -> HashMap<Queue, Vec<Self>> {
        let mut by_queue: HashMap<Queue, Vec<Self>> = HashMap::new();
        for message in messages {
            by_queue.entry(message.route().queue).or_default().push(message);
        }
        by_queue
    }

    /// Where it goes.
    #[must_use]
    pub const fn route(&self) -> &'static Route {
        self.event_type.route()
    }

    /// Its AMQP properties, with the headers of `trace`: the context of the span that sends it. `user` is the one of the
    /// connection.
    pub(super) fn properties(&self, trace: &TraceContext, user: &str) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in trace.headers() {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.event_id.to_string().into())
            .with_type(ShortString::from(<&str>::from(self.event_type)))
            .with_user_id(user.into())
            .with_app_id(ShortString::from(<&str>::from(self.route().publisher)))
            .with_headers(headers);
        match &self.correlation_id {
            // A short string holds 255 bytes; the envelope holds a longer one.
            Some(id) if id.len() <= 255 => properties.with_correlation_id(id.as_str().into()),
            _ => properties,
        }
    }
}

/// The trace context that a received message carries.
pub(crate) fn trace_context(properties: &BasicProperties) -> TraceContext {
    let text = |name: &str| match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok().map(storable),
        AMQPValue::ShortString(value) => Some(storable(value.as_str())),
        _ => None,
    };
    TraceContext::new(text("traceparent"), text("tracestate"))
}
