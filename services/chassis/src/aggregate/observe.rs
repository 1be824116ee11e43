//! What traces and logs tell about triggers that were applied.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use contracts::OrderId;
use tracing::{Span, debug, field, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Aggregate, Cause, Standing, Triggered};
use crate::telemetry::{TRACE_ONLY, TraceContext, is_recorded, record_share};

/// The transaction that triggers share. Its span is the child of the first of theirs that is recorded; each of the others has a span
/// of its share, which links to it.
pub(super) struct SharedTransaction {
    span: Span,
    /// Whose trace has it.
    first: usize,
    since: Instant,
}

impl SharedTransaction {
    pub(super) fn begin<T>(triggers: &[Triggered<T>]) -> Self {
        let since = Instant::now();
        let Some(first) = triggers.iter().position(|triggered| is_recorded(&triggered.span)) else {
            return Self { span: Span::none(), first: 0, since };
        };
        let span = info_span!(
            target: TRACE_ONLY,
            parent: &triggers[first].span,
            "transaction",
            messaging.batch.message_count = count(triggers),
        );
        Self { span, first, since }
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// Records the shares of the others, and those of triggers that got their spans in it.
    pub(super) fn end<T>(self, triggers: &[Triggered<T>], of_orders: &SpansOfOrders) {
        if !self.span.is_none() {
            for triggered in triggers.iter().skip(self.first + 1) {
                record_share(&triggered.span, self.since, &self.span, count(triggers));
            }
        }
        for span in of_orders.all() {
            record_share(&span, self.since, &self.span, count(triggers));
        }
    }
}

/// The spans of triggers that arise from their orders alone, which are made once the order is loaded: one for each, however often the
/// transaction is tried.
#[derive(Default)]
pub(super) struct SpansOfOrders(Mutex<HashMap<OrderId, (Span, Cause)>>);

impl SpansOfOrders {
    /// The span of a trigger, in the trace of its order, and what arises from it.
    pub(super) fn of(&self, name: &'static str, order_id: OrderId, cause: &Cause) -> (Span, Cause) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.entry(order_id).or_insert_with(|| span_of_order(name, order_id, cause)).clone()
    }

    fn all(&self) -> Vec<Span> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.values().map(|(span, _)| span.clone()).collect()
    }
}

fn span_of_order(name: &'static str, order_id: OrderId, cause: &Cause) -> (Span, Cause) {
    let span = info_span!(
        "due",
        otel.name = name,
        order.id = %order_id,
        correlation.id = cause.correlation_id,
        error.r#type = field::Empty,
    );
    cause.trace.continue_in(&span);
    let trace = TraceContext { follows: cause.trace.follows.clone(), ..TraceContext::of(&span) };
    (span, Cause { correlation_id: cause.correlation_id.clone(), trace })
}

fn count<T>(triggers: &[T]) -> i64 {
    i64::try_from(triggers.len()).unwrap_or(i64::MAX)
}

/// A trigger that was applied, and what is to be told about it.
pub(super) struct Observation {
    /// The span of its handling.
    pub(super) span: Span,
    /// What it is called.
    pub(super) name: &'static str,
    /// Where the order came from, if that is another trace than the trigger's.
    pub(super) order_trace: Option<TraceContext>,
    /// Where the order stood before, if it was known.
    pub(super) before: Option<Standing>,
    /// Where it stands now, if it is known.
    pub(super) after: Option<Standing>,
    /// Whether it is an order that is known already: a message that came again, or a request with the same `Idempotency-Key`.
    pub(super) is_duplicate: bool,
}

/// Tells about a trigger that was applied, once that is committed.
pub(super) fn observe<A: Aggregate>(observation: &Observation) {
    let Observation { span, name, order_trace, before, after, is_duplicate } = observation;
    let outcome = after.filter(|after| after.is_outcome && before.as_ref() != Some(after));
    if is_recorded(span) {
        let names = A::NAMES;
        if let Some(before) = before {
            span.set_attribute(names.status_before, before.status);
        }
        if let Some(after) = after {
            span.set_attribute(names.status, after.status);
        }
        if let (Some(attribute), Some(reason)) = (names.reason, after.and_then(|after| after.reason)) {
            span.set_attribute(attribute, reason);
        }
        if let (Some(attribute), Some(outcome)) = (names.outcome, outcome) {
            span.set_attribute(attribute, outcome.status);
        }
        if *is_duplicate {
            span.set_attribute("paysaga.duplicate", true);
        }
        if let Some(order) = order_trace {
            order.link_both_ways(span, name);
        }
    }
    span.in_scope(|| {
        if let Some(Standing { status, reason, .. }) = outcome {
            info!(reason, "{} {status}", A::NAMES.entity);
        } else {
            let status = after.map(|after| after.status);
            debug!(trigger = name, is_duplicate, status, "trigger applied");
        }
    });
}
