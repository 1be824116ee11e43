//! Spans of what has passed: where a span is only worth its cost once it is known how long something took, or for whom.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::global::BoxedTracer;
use opentelemetry::time::now;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TraceContext, traces};

/// Waits that are shorter have no span of their own: what surrounds them tells as much.
const WORTH_A_SPAN: Duration = Duration::from_millis(10);

/// What waited for longer was put there again by an operator: its old time would squash everything else in its trace.
const LONGEST_TRANSIT: Duration = Duration::from_hours(24);

/// The tracer of spans that are made outside of `tracing`.
static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| opentelemetry::global::tracer("paysaga"));

/// Whether a span is recorded. What only a recorded span needs is not built for others.
#[must_use]
pub fn is_recorded(span: &Span) -> bool {
    traces::are_recorded() && span.context().span().span_context().is_sampled()
}

/// Records a span that begins at `since` and ends now, as a child of `parent`, if that is recorded.
pub(super) fn record(parent: &Context, since: SystemTime, span: impl FnOnce() -> SpanBuilder) {
    if traces::are_recorded() && parent.span().span_context().is_sampled() {
        TRACER.build_with_context(span().with_start_time(since), parent).end();
    }
}

/// Records that `within` has waited since then, and for what; a short wait is passed over.
pub(crate) fn record_wait(within: &Span, since: Instant, what: &'static str) {
    let waited = since.elapsed();
    if waited >= WORTH_A_SPAN {
        record(&within.context(), before_now(waited), || SpanBuilder::from_name(what));
    }
}

/// Records that what `trace` sent at `since` has arrived, and waited in an outbox and a queue until now; a short wait is passed
/// over. By the clocks of two machines: how far those differ is in it.
pub(crate) fn record_transit(trace: &TraceContext, since: SystemTime) {
    let waited = now().duration_since(since).unwrap_or_default();
    if (WORTH_A_SPAN..LONGEST_TRANSIT).contains(&waited) && trace.may_be_recorded() {
        record(&trace.as_otel(), since, || SpanBuilder::from_name("wait: outbox and queue"));
    }
}

/// Records the share that the work of `span` has in a transaction that began at `since` and served `messages` of them, with a link to the
/// span of that, if it has one.
pub(crate) fn record_share(span: &Span, since: Instant, transaction: &Span, messages: i64) {
    let shared = transaction.context().span().span_context().clone();
    record(&span.context(), before_now(since.elapsed()), || {
        SpanBuilder::from_name("transaction")
            .with_kind(SpanKind::Internal)
            .with_attributes([KeyValue::new("messaging.batch.message_count", messages)])
            .with_links(shared.is_valid().then(|| Link::with_context(shared)).into_iter().collect())
    });
}

/// The time that was so long ago, by this machine's clock.
pub(super) fn before_now(duration: Duration) -> SystemTime {
    let now = now();
    now.checked_sub(duration).unwrap_or(now)
}
