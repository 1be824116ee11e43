//! The W3C trace context on its way through HTTP headers, AMQP headers, outbox rows and payment rows.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde::{Deserialize, Serialize};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TRACE_ONLY, traces};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Longest `tracestate` that is passed on, in bytes: what the recommendation asks for at least (§3.3.1.5). It is stored with the order
/// and sent with each of its messages.
const MAX_TRACESTATE: usize = 512;

/// Where in which trace something happened (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    /// Version, trace id, span id and flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What tracing systems along the way added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// The `traceparent` of another trace that this one follows from: the order's, in the trace of its cancellation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

impl TraceContext {
    /// The context of `span`.
    #[must_use]
    pub fn of(span: &Span) -> Self {
        let mut carrier = Self::default();
        TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
        carrier
    }

    /// The context that headers of these names carry.
    pub(crate) fn new(traceparent: Option<String>, tracestate: Option<String>) -> Self {
        let tracestate = tracestate.filter(|state| state.len() <= MAX_TRACESTATE);
        Self { traceparent, tracestate, follows: None }
    }

    /// The context that a `traceparent` names.
    #[must_use]
    pub fn from_traceparent(traceparent: String) -> Self {
        Self::new(Some(traceparent), None)
    }

    /// The context that a request's headers carry. Empty if they carry none or a malformed one.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self::new(text(TRACEPARENT), text(TRACESTATE))
    }

    /// The same place in the same trace, for what is not to be recorded there.
    #[must_use]
    pub fn unrecorded(self) -> Self {
        // The flags are the last two digits.
        let traceparent = self.traceparent.map(|text| match text.rsplit_once('-') {
            Some((place, _)) => format!("{place}-00"),
            None => text,
        });
        Self { traceparent, ..self }
    }

    /// The id of the trace, in hexadecimal; `None` outside of any.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        let context = self.as_otel().span().span_context().clone();
        context.is_valid().then(|| context.trace_id().to_string())
    }

    /// The headers to send, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let headers = [(TRACEPARENT, &self.traceparent), (TRACESTATE, &self.tracestate)];
        headers.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Makes this context the parent of `span`, which must not have been entered yet.
    ///
    /// tracing-opentelemetry fixes a span's parent when it is entered for the first time; setting it later fails.
    pub fn make_parent_of(&self, span: &Span) {
        let parent = self.as_otel();
        if parent.span().span_context().is_valid() {
            // Fails without an OpenTelemetry layer (unit tests) or for a filtered span; both have no trace to join.
            let _ = span.set_parent(parent);
        }
    }

    /// Whether a span that continues from here may be recorded: where a trace has begun, that is decided. What only a recorded
    /// span needs is not built for others.
    #[must_use]
    pub fn may_be_recorded(&self) -> bool {
        // The flags are the last two digits: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`
        let flags = self.traceparent.as_deref().and_then(|text| text.get(53..55));
        let flags = flags.and_then(|flags| u8::from_str_radix(flags, 16).ok());
        traces::are_recorded() && flags.is_none_or(|flags| flags & 1 == 1)
    }

    /// Links `span` to this context.
    pub fn link_to(&self, span: &Span) {
        let context = self.as_otel().span().span_context().clone();
        if context.is_valid() {
            span.add_link(context);
        }
    }

    /// Says that `span` repeats what was done here, and links it to that if this is a context.
    pub fn repeated_in(&self, span: &Span) {
        span.set_attribute("paysaga.duplicate", true);
        self.link_to(span);
    }

    /// Makes this context the parent of `span`, and links it to the trace that this one follows from.
    pub fn continue_in(&self, span: &Span) {
        self.make_parent_of(span);
        if self.follows.is_some() {
            Self::new(self.follows.clone(), None).link_to(span);
        }
    }

    /// The same, and it follows from another trace.
    #[must_use]
    pub fn following(&self, other: &Self) -> Self {
        let follows = other.traceparent.clone().filter(|_| other.is_other_trace_than(self));
        Self { follows, ..self.clone() }
    }

    /// Links `span` to this context of another trace, and leaves a short span in that trace which links back, so that either
    /// finds the other.
    pub(crate) fn link_both_ways(&self, span: &Span, what: &str) {
        self.link_to(span);
        let back = info_span!(target: TRACE_ONLY, "linked", otel.name = format!("linked: {what}"));
        self.make_parent_of(&back);
        Self::of(span).link_to(&back);
        back.in_scope(|| {});
    }

    /// Whether this is a context, of another trace than `other`.
    pub(crate) fn is_other_trace_than(&self, other: &Self) -> bool {
        // Version and trace id: `00-4bf92f3577b34da6a3ce929d0e0e4736-…`
        fn trace(context: &TraceContext) -> Option<&str> {
            context.traceparent.as_deref().and_then(|text| text.get(..35))
        }
        self.traceparent.is_some() && trace(self) != trace(other)
    }

    pub(super) fn as_otel(&self) -> Context {
        // An empty context, not the current one: what a message carries must not be mixed with who reads it.
        TraceContextPropagator::new().extract_with_context(&Context::new(), self)
    }
}

impl Injector for TraceContext {
    fn set(&mut self, key: &str, value: String) {
        match key {
            TRACEPARENT => self.traceparent = Some(value),
            // The propagator writes an empty one where there is none.
            TRACESTATE if !value.is_empty() => self.tracestate = Some(value),
            _ => {}
        }
    }
}

impl Extractor for TraceContext {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => self.traceparent.as_deref(),
            TRACESTATE => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}
