//! Streams: clients get each step as it happens, as server-sent events.
//!
//! ```text
//! read behind the last step that was sent ─→ send ─→ wait until told, for a heartbeat at most ─┐
//!                    ↑───────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What is sent comes from such reads alone, the same that any client can make. So no step is missing and none is sent twice,
//! whatever happens to the gateway, the order service or the notification; a client that comes back names the last one it got
//! (`Last-Event-ID`), at any gateway. A stream that is open costs its connection and a few hundred bytes.

mod feed;
mod order;
mod sse;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::http::HeaderMap;
use chassis::http::{self, Caller, CorrelationId, Request, Response};
use chassis::telemetry::{METER, TraceContext};
use contracts::api_key::Scope;
use contracts::{OwnerFilter, Problem};
use futures_util::stream::unfold;
use opentelemetry::metrics::UpDownCounter;
use tokio::time::{Instant, sleep_until};
use tracing::Span;

pub(crate) use feed::{SharedPages, all_steps, restored};
pub(crate) use order::steps_of_order;

use crate::bulkhead::Kind;
use crate::changes::Listening;
use crate::shares::Streaming;
use crate::upstream::{UpstreamError, UpstreamRequest, UpstreamResponse};
use crate::{Gateway, access};
use sse::Frames;

/// How often a client is sent something at least: proxies close connections on which nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client is to wait before it comes back after its stream broke off.
const COME_BACK: Duration = Duration::from_secs(1);

/// The pause before a page is read again that could not be.
const PAUSE: Duration = Duration::from_millis(500);

/// The pause between two pages that are there already. A stream that has much to read leaves time for the others.
const BETWEEN_PAGES: Duration = Duration::from_millis(10);

/// In how many moments clients come back after the gateway has stopped, and how far apart these are: not all in one.
const MOMENTS: (u32, Duration) = (40, Duration::from_millis(100));

static OPEN: LazyLock<UpDownCounter<i64>> = LazyLock::new(|| {
    METER
        .i64_up_down_counter("paysaga.streams.open")
        .with_description("Streams of steps that are open.")
        .build()
});

/// What the streams of a gateway share. Makes the metric visible before there is a stream.
pub(crate) fn start() -> SharedPages {
    OPEN.add(0, &[]);
    SharedPages::of_feed(feed::TURNS)
}

/// Whether a request asks for a stream.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(::http::header::ACCEPT).iter();
    contracts::header::accepts_event_stream(values.filter_map(|value| value.to_str().ok()))
}

/// The last step that a client has, as it says when it comes back.
fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty())
}

/// What a stream sends, read page by page.
trait Source: Send + 'static {
    /// How far apart two reads are at least.
    const PACE: Duration;

    /// What comes next. With a problem that is the client's (4xx), the stream ends; any other is waited out.
    fn next(&mut self, reader: &Reader) -> impl Future<Output = Result<Page, Problem>> + Send;

    /// Where a client may resume that has got everything so far, if it can't know that from the last event.
    fn position(&self) -> Option<String>;
}

/// What comes next in a stream.
#[derive(Debug, Default)]
struct Page {
    frames: Frames,
    /// There is more already.
    more: bool,
    /// Nothing is expected behind it.
    is_last: bool,
}

/// Reads for a stream.
struct Reader {
    gateway: Arc<Gateway>,
    within: OwnerFilter,
    correlation_id: CorrelationId,
    /// The request's. A stream may last for days, so its reads are no part of the trace.
    trace: TraceContext,
}

impl Reader {
    fn new(gateway: Arc<Gateway>, request: &Request) -> Result<Self, Problem> {
        Ok(Self {
            gateway,
            within: access::may_read(request)?,
            correlation_id: request.correlation_id.clone(),
            trace: TraceContext::of(&Span::current()).unrecorded(),
        })
    }

    async fn get(
        &self,
        within: &OwnerFilter,
        template: &'static str,
        path: String,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let request = UpstreamRequest::get(template, path, within.clone(), &self.correlation_id);
        let request = UpstreamRequest { kind: Kind::Stream, beside_trace: Some(&self.trace), ..request };
        self.gateway.order.send(&request).await
    }
}

/// An open stream.
struct Stream<S> {
    reader: Reader,
    caller: Caller,
    listening: Listening,
    source: S,
    /// What is sent first.
    first: Option<Frames>,
    is_over: bool,
    /// When to read, if not when told.
    read_at: Option<Instant>,
    last_read: Instant,
    heartbeat_at: Instant,
    _place: Streaming,
    _open: Open,
}

/// Counted while a stream is open.
pub(crate) struct Open;

impl Open {
    pub(crate) fn new() -> Self {
        OPEN.add(1, &[]);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.add(-1, &[]);
    }
}

/// What a stream waits for.
enum Next {
    Read,
    Heartbeat,
    End,
}

impl<S: Source> Stream<S> {
    /// A stream whose first page was read after it began to listen.
    fn new(
        reader: Reader,
        caller: &Caller,
        place: Streaming,
        listening: Listening,
        source: S,
        page: Page,
    ) -> Self {
        let mut first = Frames::retry(COME_BACK);
        first.append(page.frames);
        let now = Instant::now();
        Self {
            reader,
            caller: caller.clone(),
            listening,
            source,
            first: Some(first),
            is_over: page.is_last,
            read_at: page.more.then_some(now),
            last_read: now,
            heartbeat_at: now + HEARTBEAT,
            _place: place,
            _open: Open::new(),
        }
    }

    fn response(self) -> Response {
        let parts = unfold(self, async |mut stream| {
            let frames = stream.next().await?;
            stream.heartbeat_at = Instant::now() + HEARTBEAT;
            Some((frames.into_bytes(), stream))
        });
        http::streamed("text/event-stream", parts)
    }

    async fn next(&mut self) -> Option<Frames> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while !self.is_over {
            match self.wait().await {
                Next::End => {
                    self.is_over = true;
                    let (moments, apart) = MOMENTS;
                    return Some(Frames::retry(COME_BACK + self.listening.turn(moments) * apart));
                }
                // A key may have been revoked since.
                _ if !self.is_still_permitted() => return None,
                Next::Heartbeat => return Some(Frames::heartbeat(self.source.position())),
                Next::Read => {
                    let frames = self.read().await;
                    if !frames.is_empty() {
                        return Some(frames);
                    }
                }
            }
        }
        None
    }

    /// Whether the key may still read what the stream reads.
    fn is_still_permitted(&self) -> bool {
        let Reader { gateway, within, .. } = &self.reader;
        let may = |scope| gateway.access.still_permits(&self.caller, scope);
        may(Scope::OrdersRead) && (*within != OwnerFilter::Any || may(Scope::AdminRead))
    }

    async fn wait(&mut self) -> Next {
        loop {
            let read = async {
                match self.read_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.reader.gateway.stopping.cancelled() => return Next::End,
                () = read => return Next::Read,
                () = self.listening.changed() => {
                    let soon = self.last_read + S::PACE;
                    self.read_at = Some(self.read_at.map_or(soon, |at| at.min(soon)));
                }
                () = sleep_until(self.heartbeat_at) => return Next::Heartbeat,
            }
        }
    }

    async fn read(&mut self) -> Frames {
        let stopping = self.reader.gateway.stopping.clone();
        // On the heap for as long as it takes, so that a stream that waits has no room for it.
        let read = Box::pin(self.source.next(&self.reader));
        let Some(read) = stopping.run_until_cancelled(read).await else { return Frames::default() };
        self.last_read = Instant::now();
        match read {
            Ok(page) => {
                self.read_at = page.more.then_some(self.last_read + BETWEEN_PAGES);
                self.is_over = page.is_last;
                page.frames
            }
            // The order service is away or has too much to do; the client keeps its stream.
            Err(problem) if problem.status >= 500 => {
                self.read_at = Some(self.last_read + PAUSE);
                Frames::default()
            }
            Err(_) => {
                self.is_over = true;
                Frames::default()
            }
        }
    }
}

/// What every stream of a request begins with: the caller and a place among its streams.
async fn enter<'a>(gateway: &Gateway, request: &'a Request) -> Result<(&'a Caller, Streaming), Problem> {
    let caller = access::caller(request)?;
    Ok((caller, gateway.shares.stream(caller).await?))
}

/// What a stream begins with. Where the order service is away or has too much to do, a client that comes back keeps its stream and
/// gets everything later: a browser that is refused comes back no more.
fn first_page(first: Result<Page, Problem>, request: &Request) -> Result<Page, Problem> {
    match first {
        Err(problem) if problem.status >= 500 && last_event_id(&request.headers).is_some() => {
            Ok(Page { more: true, ..Page::default() })
        }
        first => first,
    }
}
