//! How many spans were dropped: more than the exporter's queue holds, or refused by where they are sent.
//!
//! OpenTelemetry's batch processor counts what it drops and tells at the end of the process. This counts along, by what goes in
//! and what comes out.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use super::METER;

/// The queue's length if `OTEL_BSP_MAX_QUEUE_SIZE` gives none.
const QUEUE: usize = 2048;

/// The spans that are under way to the exporter.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    queued: Arc<AtomicUsize>,
    longest: usize,
    dropped: Counter<u64>,
}

impl Tally {
    pub(super) fn start() -> Self {
        let longest = std::env::var_os("OTEL_BSP_MAX_QUEUE_SIZE");
        let longest = longest.and_then(|size| size.to_str()?.parse().ok()).unwrap_or(QUEUE);
        let dropped = METER
            .u64_counter("paysaga.spans.dropped")
            .with_description(
                "Spans that were recorded and not sent, since the queue was full or sending failed.",
            )
            .build();
        for reason in ["queue_full", "not_sent"] {
            dropped.add(0, &[KeyValue::new("reason", reason)]);
        }
        Self { queued: Arc::default(), longest, dropped }
    }

    fn dropped(&self, spans: usize, reason: &'static str) {
        self.dropped.add(spans as u64, &[KeyValue::new("reason", reason)]);
    }
}

/// Counts what goes in.
#[derive(Debug)]
pub(super) struct CountingProcessor<P> {
    inner: P,
    tally: Tally,
}

impl<P> CountingProcessor<P> {
    pub(super) const fn new(inner: P, tally: Tally) -> Self {
        Self { inner, tally }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountingProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            if self.tally.queued.load(Ordering::Relaxed) < self.tally.longest {
                self.tally.queued.fetch_add(1, Ordering::Relaxed);
            } else {
                self.tally.dropped(1, "queue_full");
            }
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what comes out.
#[derive(Debug)]
pub(super) struct CountingExporter<E> {
    inner: E,
    tally: Tally,
}

impl<E> CountingExporter<E> {
    pub(super) const fn new(inner: E, tally: Tally) -> Self {
        Self { inner, tally }
    }
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let fewer = |queued: usize| Some(queued.saturating_sub(spans));
        // Never fails: it always has a value to set.
        _ = self.tally.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        let exported = self.inner.export(batch).await;
        if exported.is_err() {
            self.tally.dropped(spans, "not_sent");
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
