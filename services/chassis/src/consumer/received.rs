//! A message that was read successfully.

use contracts::topology::Queue;
use contracts::{DecodeError, Envelope, EventType};
use lapin::message::Delivery;
use thiserror::Error;
use tracing::{Span, field, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::broker;
use crate::outbox::Cause;
use crate::telemetry::TraceContext;

/// Where a message comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The queue that it is consumed from.
    pub(crate) queue: Queue,
    /// The exchange that it was published to.
    pub(crate) exchange: String,
    /// The routing key that it was published with.
    pub(crate) routing_key: String,
    /// Its `correlation_id` property.
    pub(crate) correlation_id: Option<String>,
    /// The context of the span that sent it.
    pub(crate) trace: TraceContext,
    /// Its number on its channel; a message that is replayed has none.
    pub(crate) delivery_tag: Option<u64>,
}

impl Origin {
    /// Where a delivery comes from.
    pub(super) fn of(queue: Queue, delivery: &Delivery) -> Self {
        Self {
            queue,
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            correlation_id: delivery.properties.correlation_id().as_ref().map(ToString::to_string),
            trace: broker::trace_context(&delivery.properties),
            delivery_tag: Some(delivery.delivery_tag),
        }
    }
}

/// Why a message can't be an event for this queue.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{event_type} does not belong on {queue}")]
    WrongQueue { event_type: EventType, queue: Queue },
}

/// An event that arrived, within the span of its processing.
pub struct Received {
    /// The event.
    pub envelope: Envelope,
    pub(crate) span: Span,
    cause: Cause,
}

impl Received {
    /// Reads a message. The span of its processing exists either way, to say what became of it.
    pub(crate) fn read(origin: &Origin, body: &[u8]) -> (Span, Result<Self, Unreadable>) {
        let span = process_span(origin);
        let received = decode(origin.queue, body).map(|envelope| {
            let named = envelope.correlation_id.clone().or_else(|| origin.correlation_id.clone());
            // A message that names none is the beginning of its own story.
            let correlation_id = named.unwrap_or_else(|| envelope.event_id.to_string());
            span.record("messaging.message.id", field::display(envelope.event_id));
            span.record("order.id", field::display(envelope.order_id()));
            span.record("correlation.id", &correlation_id);
            let cause = Cause { correlation_id: Some(correlation_id), trace: TraceContext::of(&span) };
            Self { envelope, span: span.clone(), cause }
        });
        (span, received)
    }

    /// Says in the log that the message was processed, once that is committed.
    pub(crate) fn processed(&self, queue: Queue) {
        let event_type = self.envelope.event.event_type();
        self.span.in_scope(|| info!(%queue, event.r#type = %event_type, "processed"));
    }

    /// What an event that is emitted on account of this one arises from.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }
}

fn decode(queue: Queue, body: &[u8]) -> Result<Envelope, Unreadable> {
    let envelope = Envelope::decode(body)?;
    let event_type = envelope.event.event_type();
    if event_type.route().queue == queue {
        Ok(envelope)
    } else {
        Err(Unreadable::WrongQueue { event_type, queue })
    }
}

/// The CONSUMER span. Its parent is the PRODUCER span that sent the message, so that a saga is one trace and Jaeger's
/// graph has its edges; it links to it as well, which is where the messaging conventions would have it found.
fn process_span(origin: &Origin) -> Span {
    let destination = format!("{}:{}:{}", origin.exchange, origin.routing_key, origin.queue);
    let span = info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        messaging.message.id = field::Empty,
        order.id = field::Empty,
        correlation.id = field::Empty,
        error.r#type = field::Empty,
        trace.id = field::Empty,
    );
    // For the trace alone; the log says where a message was by its queue.
    span.set_attribute("messaging.system", "rabbitmq");
    span.set_attribute("messaging.operation.name", "process");
    span.set_attribute("messaging.operation.type", "process");
    span.set_attribute("messaging.destination.name", destination);
    span.set_attribute("messaging.rabbitmq.destination.routing_key", origin.routing_key.clone());
    if let Some(tag) = origin.delivery_tag.and_then(|tag| i64::try_from(tag).ok()) {
        span.set_attribute("messaging.rabbitmq.message.delivery_tag", tag);
    }
    origin.trace.make_parent_of(&span);
    origin.trace.link_to(&span);
    span
}
