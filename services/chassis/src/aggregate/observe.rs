//! What traces and logs tell about triggers that were applied.

use std::time::Instant;

use opentelemetry::trace::TraceContextExt;
use tracing::{Span, debug, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Aggregate, Standing, Triggered};
use crate::telemetry::{TRACE_ONLY, TraceContext, is_recorded, record_share};

/// The transaction that a batch of triggers shares. Its span is the child of one of theirs; each of the others has a span of its
/// share, which links to it.
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

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn end<T>(self, triggers: &[Triggered<T>]) {
        if self.span.is_none() {
            return;
        }
        for triggered in triggers.iter().skip(self.first + 1) {
            let others = triggered.span.context().span().span_context().clone();
            if others.is_sampled() {
                self.span.add_link(others);
                record_share(&triggered.span, self.since, &self.span, count(triggers));
            }
        }
    }
}

fn count<T>(triggers: &[T]) -> i64 {
    i64::try_from(triggers.len()).unwrap_or(i64::MAX)
}

/// A trigger that was applied, and what is to be told about it.
pub(super) struct Seen {
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
pub(super) fn observe<A: Aggregate>(seen: &Seen) {
    let Seen { span, name, order_trace, before, after, is_duplicate } = seen;
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
            debug!(trigger = name, is_duplicate, "applied");
        }
    });
}
