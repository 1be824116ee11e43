//! From a message to the trigger that it is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use contracts::topology::Queue;
use contracts::{DecodeError, Envelope, EventType};
use lapin::message::Delivery;
use serde_json::error::Category;
use thiserror::Error;
use tracing::{Span, field, info_span, record_all};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::aggregate::{Aggregate, Cause, Triggered};
use crate::broker::{self, Forged, NOT_VERIFIED, Publishers};
use crate::panics;
use crate::telemetry::{TraceContext, record_transit};
use crate::text::storable;

/// Where a message comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The queue that it is consumed from.
    pub(crate) queue: Queue,
    /// The exchange that it was published to.
    pub(crate) exchange: String,
    /// The routing key that it was published with.
    pub(crate) routing_key: String,
    /// Its `user_id` property: who published it, as RabbitMQ has checked.
    pub(crate) user_id: Option<String>,
    /// Its `correlation_id` property.
    pub(crate) correlation_id: Option<String>,
    /// The context of the span that sent it.
    pub(crate) trace: TraceContext,
    /// How it was delivered; a message that is replayed was not.
    pub(crate) delivery: Option<Delivered>,
}

/// How a message was delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    /// Its number on its channel.
    tag: u64,
    /// Whether it was delivered before, to a consumer that did not acknowledge it.
    redelivered: bool,
}

impl Origin {
    /// Where a delivery comes from.
    pub(super) fn of(queue: Queue, delivery: &Delivery) -> Self {
        Self {
            queue,
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            // `*` is what failed messages have that were stored before publishers were verified.
            user_id: (delivery.properties.user_id().as_ref())
                .map(|user| storable(user.as_str()))
                .filter(|user| user != NOT_VERIFIED),
            correlation_id: delivery.properties.correlation_id().as_ref().map(|id| storable(id.as_str())),
            trace: broker::trace_context(&delivery.properties),
            delivery: Some(Delivered { tag: delivery.delivery_tag, redelivered: delivery.redelivered }),
        }
    }
}

/// Why a message can't be an event for this queue.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Forged(#[from] Forged),
    #[error("{event_type} does not belong on {queue}")]
    WrongQueue { event_type: EventType, queue: Queue },
    #[error("this service does not consume {0}")]
    NotConsumed(EventType),
    #[error("panicked: {0}")]
    Panicked(String),
}

impl Unreadable {
    /// `error.type` of the span.
    pub(super) const fn error_type(&self) -> &'static str {
        match self {
            Self::Decode(DecodeError::Envelope(_)) => "unreadable",
            Self::Decode(DecodeError::UnknownEventType(_) | DecodeError::Payload { .. })
            | Self::Forged(_)
            | Self::WrongQueue { .. }
            | Self::NotConsumed(_) => "contract",
            Self::Panicked(_) => "panic",
        }
    }
}

impl Unreadable {
    /// What is wrong without what the message says, where the error quotes that: for logs and traces.
    pub(super) fn without_content(&self) -> Option<String> {
        match self {
            Self::Decode(DecodeError::Envelope(error)) => {
                Some(format!("not an event envelope: {}", place(error)))
            }
            Self::Decode(DecodeError::UnknownEventType(_)) => Some("an unknown eventType".to_owned()),
            Self::Decode(DecodeError::Payload { event_type, source }) => {
                Some(format!("payload of {event_type}: {}", place(source)))
            }
            Self::Forged(_) | Self::WrongQueue { .. } | Self::NotConsumed(_) | Self::Panicked(_) => None,
        }
    }
}

/// What is wrong with a JSON text, and where, without a word of it.
fn place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Names a member of the contract and quotes nothing.
    if text.starts_with("missing field") {
        return text;
    }
    let what = match error.classify() {
        Category::Io | Category::Eof => "it ends early",
        Category::Syntax => "no JSON",
        Category::Data => "a value that is not what it must be",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

/// What a message was found to be.
pub(crate) struct Received<Trigger> {
    /// The span of its processing, to say what becomes of it.
    pub(crate) span: Span,
    /// What it is to the service's aggregate.
    pub(crate) triggered: Result<Triggered<Trigger>, Unreadable>,
}

/// Reads a message.
pub(crate) fn read<A: Aggregate>(
    aggregate: &A,
    publishers: &Publishers,
    origin: &Origin,
    body: &[u8],
) -> Received<A::Trigger> {
    let span = process_span(origin);
    let read = || {
        let envelope = decode(origin.queue, publishers, origin.user_id.as_deref(), body)?;
        if origin.delivery.is_some() {
            record_transit(&origin.trace, envelope.occurred_at.as_datetime().into());
        }
        let named = envelope.correlation_id.clone().or_else(|| origin.correlation_id.clone());
        // An event that names none is the first of its saga.
        let correlation_id = named.unwrap_or_else(|| envelope.event_id.to_string());
        record_all!(
            span,
            messaging.message.id = %envelope.event_id,
            order.id = %envelope.order_id(),
            correlation.id = &*correlation_id,
        );
        let not_consumed = || Unreadable::NotConsumed(envelope.event.event_type());
        Ok(Triggered {
            order_id: envelope.order_id(),
            trigger: aggregate.trigger(&envelope.event).ok_or_else(not_consumed)?,
            cause: Some(Cause { correlation_id: Some(correlation_id), trace: TraceContext::of(&span) }),
            event: Some(envelope),
            span: span.clone(),
        })
    };
    let triggered = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|panic| Err(Unreadable::Panicked(panics::message(&*panic))));
    Received { span, triggered }
}

/// The event that a message on this queue is, if it is one that belongs there and comes from the service whose event it is.
pub(crate) fn decode(
    queue: Queue,
    publishers: &Publishers,
    user_id: Option<&str>,
    body: &[u8],
) -> Result<Envelope, Unreadable> {
    let envelope = Envelope::decode(body)?;
    let event_type = envelope.event.event_type();
    if event_type.route().queue != queue {
        return Err(Unreadable::WrongQueue { event_type, queue });
    }
    publishers.verify(event_type, user_id)?;
    Ok(envelope)
}

/// The CONSUMER span. Its parent is the PRODUCER span that sent the message, so that a saga is one trace and Jaeger's
/// graph has its edges; it links to it as well, which is where the messaging conventions would have it found.
fn process_span(origin: &Origin) -> Span {
    let recorded = origin.trace.may_be_recorded();
    let destination =
        recorded.then(|| format!("{}:{}:{}", origin.exchange, origin.routing_key, origin.queue));
    let span = info_span!(
        "process",
        otel.name = destination.as_ref().map(|destination| format!("process {destination}")),
        otel.kind = "consumer",
        messaging.message.id = field::Empty,
        order.id = field::Empty,
        correlation.id = field::Empty,
        error.r#type = field::Empty,
    );
    if let Some(destination) = destination {
        // For the trace alone; the log says where a message was by its queue.
        span.set_attribute("messaging.system", "rabbitmq");
        span.set_attribute("messaging.operation.name", "process");
        span.set_attribute("messaging.operation.type", "process");
        span.set_attribute("messaging.destination.name", destination);
        span.set_attribute("messaging.rabbitmq.destination.routing_key", origin.routing_key.clone());
        if let Some(Delivered { tag, redelivered }) = origin.delivery {
            span.set_attribute(
                "messaging.rabbitmq.message.delivery_tag",
                i64::try_from(tag).unwrap_or(i64::MAX),
            );
            span.set_attribute("messaging.rabbitmq.redelivered", redelivered);
        } else {
            span.set_attribute("paysaga.replay", true);
        }
    }
    origin.trace.make_parent_of(&span);
    if recorded {
        origin.trace.link_to(&span);
    }
    span
}
