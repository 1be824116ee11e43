//! One request and its response: correlation id, server span, body limit, metrics.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::Problem;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tracing::{Instrument, Span, error, field, info_span};
use uuid::Uuid;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::{HttpConfig, Matched, RouteTable, reply};
use crate::health::Health;
use crate::telemetry::{METER, TraceContext};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("http.server.request.duration")
        .with_unit("s")
        .with_description("Time to answer HTTP requests.")
        .build()
});

/// Joins everything that one request of a client causes. A request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelationId(pub Arc<str>);

impl CorrelationId {
    /// The client's, if it is 1 to 128 visible ASCII characters; a new UUID otherwise. What a client sends ends up in
    /// logs and messages, so nothing else is let through.
    fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
        match sent
            .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            Some(id) => Self(id.into()),
            None => Self(Uuid::new_v4().to_string().into()),
        }
    }
}

/// Who sent the request. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// What every request passes through.
pub(super) struct Exchange {
    routes: BoxedFilter<(Response,)>,
    tables: &'static [RouteTable],
    max_body: usize,
    body_timeout: Duration,
    health: Health,
}

impl Exchange {
    pub(super) fn new(
        routes: BoxedFilter<(Response,)>,
        tables: &'static [RouteTable],
        config: &HttpConfig,
        health: Health,
    ) -> Self {
        Self { routes, tables, max_body: config.max_body, body_timeout: config.body_timeout, health }
    }

    pub(super) async fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response {
        let started = Instant::now();
        let matched = Matched::find(self.tables, request.method(), request.uri().path());
        let template = matched.template();
        let method = known_method(request.method());
        let correlation_id = CorrelationId::of(request.headers());
        let span = server_span(&request, method, template, &correlation_id);
        let trace = TraceContext::of(&span);

        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(peer));
        extensions.insert(correlation_id.clone());
        extensions.insert(matched);

        let mut response = AssertUnwindSafe(self.respond(request).instrument(span.clone()))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                span.in_scope(|| error!("a request handler panicked"));
                reply::problem(Problem::new(500, "The request could not be handled."))
            });
        self.finish(&mut response, &correlation_id, &trace);

        let status = i64::from(response.status().as_u16());
        span.record("http.response.status_code", status);
        if status >= 500 {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status);
        }
        DURATION.record(
            started.elapsed().as_secs_f64(),
            &[
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", template.unwrap_or("unknown")),
                KeyValue::new("http.response.status_code", status),
            ],
        );
        response
    }

    async fn respond(&self, request: Request<Incoming>) -> Response {
        let (mut head, body) = request.into_parts();
        let body = match self.read(body).await {
            Ok(body) => body,
            Err(problem) => return reply::problem(problem),
        };
        if head.method == Method::HEAD {
            head.method = Method::GET; // hyper leaves the body of the answer out
        }
        let routes = TowerToHyperService::new(warp::service(self.routes.clone()));
        match routes.call(Request::from_parts(head, Full::new(body))).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The whole body. All of ours are small, so filters never deal with half-read or endless ones.
    async fn read(&self, body: Incoming) -> Result<Bytes, Problem> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let too_large =
            || Problem::new(413, format!("The body must not be larger than {} bytes.", self.max_body));
        let within_limit = body.size_hint().lower() <= self.max_body as u64;
        let read = Limited::new(body, if within_limit { self.max_body } else { LINGER }).collect();
        match tokio::time::timeout(self.body_timeout, read).await {
            Ok(Ok(_)) if !within_limit => Err(too_large()),
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::new(400, "The body ended before it was complete.")),
            Err(_) => Err(Problem::new(
                408,
                format!("The body did not arrive within {} seconds.", self.body_timeout.as_secs()),
            )),
        }
    }

    fn finish(&self, response: &mut Response, correlation_id: &CorrelationId, trace: &TraceContext) {
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&correlation_id.0) {
            headers.insert(CORRELATION_ID, value);
        }
        for (name, value) in trace.headers() {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        if self.health.is_draining() {
            // So that the client's next request goes to another replica instead of into a closing connection.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// How much of a body that is too large is read before the answer, in bytes. A client that is still sending when the
/// connection closes sees a reset instead of the 413 (RFC 9112 §9.6).
const LINGER: usize = 4 * 1024 * 1024;

fn server_span(
    request: &Request<Incoming>,
    method: &'static str,
    template: Option<&'static str>,
    correlation_id: &CorrelationId,
) -> Span {
    // Asked every few seconds by whoever watches the service; their spans would bury everybody else's.
    if template.is_some_and(|template| template.starts_with("/health/") || template.ends_with("/metrics")) {
        return Span::none();
    }
    let name = template.map_or_else(|| method.to_owned(), |template| format!("{method} {template}"));
    let span = info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = template,
        http.response.status_code = field::Empty,
        url.path = request.uri().path(),
        url.scheme = "http",
        error.r#type = field::Empty,
        correlation.id = &*correlation_id.0,
        trace.id = field::Empty,
    );
    TraceContext::from_headers(request.headers()).make_parent_of(&span);
    span
}

/// The method's name, or `_OTHER` (OpenTelemetry HTTP conventions): a client must not be able to make up labels.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
