//! A message that was read successfully.

use contracts::topology::Queue;
use contracts::{DecodeError, Envelope};
use lapin::message::Delivery;
use tracing::{Span, field, info, info_span};

use crate::broker;
use crate::outbox::Cause;
use crate::telemetry::TraceContext;

/// An event that arrived, within the span of its processing.
pub struct Received {
    /// The event.
    pub envelope: Envelope,
    pub(super) span: Span,
    cause: Cause,
}

impl Received {
    /// Reads a delivery. The span of its processing exists either way, to say what became of it.
    pub(super) fn read(queue: Queue, delivery: &Delivery) -> (Span, Result<Self, DecodeError>) {
        let span = process_span(queue, delivery);
        let received = Envelope::decode(&delivery.data).map(|envelope| {
            let property = delivery.properties.correlation_id().as_ref().map(ToString::to_string);
            // A message that names none is the beginning of its own story.
            let correlation_id =
                envelope.correlation_id.clone().or(property).unwrap_or_else(|| envelope.event_id.to_string());
            span.record("messaging.message.id", field::display(envelope.event_id));
            span.record("order.id", field::display(envelope.order_id()));
            span.record("correlation.id", &correlation_id);
            let cause = Cause { correlation_id: Some(correlation_id), trace: TraceContext::of(&span) };
            Self { envelope, span: span.clone(), cause }
        });
        (span, received)
    }

    /// Says in the log that the message was processed, once that is committed.
    pub(super) fn processed(&self, queue: Queue) {
        let event_type = self.envelope.event.event_type();
        self.span.in_scope(|| info!(%queue, event.r#type = %event_type, "processed"));
    }

    /// What an event that is emitted on account of this one arises from.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }
}

/// The CONSUMER span. Its parent is the PRODUCER span that sent the message, so that a saga is one trace and Jaeger's
/// graph has its edges; it links to it as well, which is where the messaging conventions would have it found.
fn process_span(queue: Queue, delivery: &Delivery) -> Span {
    let span = info_span!(
        "process",
        otel.name = format!("process {}", delivery.routing_key),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = format!("{}:{}:{queue}", delivery.exchange, delivery.routing_key),
        messaging.rabbitmq.destination.routing_key = delivery.routing_key.as_str(),
        messaging.rabbitmq.message.delivery_tag = i64::try_from(delivery.delivery_tag).unwrap_or(i64::MAX),
        messaging.rabbitmq.message.redelivered = delivery.redelivered,
        messaging.message.id = field::Empty,
        order.id = field::Empty,
        correlation.id = field::Empty,
        error.r#type = field::Empty,
        trace.id = field::Empty,
    );
    let sent_by = broker::trace_context(&delivery.properties);
    sent_by.make_parent_of(&span);
    sent_by.link_to(&span);
    span
}
