//! What makes a span an error, so that `error=true` finds it.

use http::StatusCode;
use opentelemetry::trace::Status;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::is_recorded;

/// What went wrong in a span: one of few words, for searches (`error.type`), and a sentence for people.
///
/// An outcome that was to be expected is no failure: a declined charge, a cancellation that comes too late.
pub fn mark_failed(span: &Span, error_type: &'static str, description: &str) {
    // The field shows in the log too; a span that is not recorded keeps neither.
    span.record("error.type", error_type);
    mark(span, description);
}

/// Marks the span of an exchange whose answer is a 5xx, which says by itself what went wrong (OpenTelemetry HTTP conventions).
pub fn mark_server_error(span: &Span, status: StatusCode) {
    span.record("error.type", status.as_str());
    mark(span, "");
}

fn mark(span: &Span, description: &str) {
    if is_recorded(span) {
        span.set_status(Status::error(description.to_owned()));
    }
}
