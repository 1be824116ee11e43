//! One request and its response: correlation id, server span, body limit, caller, metrics.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use contracts::Problem;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tracing::{Instrument, Span, error, field, info_span};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::context::CORRELATION_ID;
use super::{Caller, CorrelationId, HttpConfig, PeerAddr, Routes, reply};
use crate::health::Health;
use crate::telemetry::{METER, TraceContext};

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("http.server.request.duration")
        .with_unit("s")
        .with_description("Time to answer HTTP requests.")
        .build()
});

/// Finds out who sent a request from its headers.
pub(super) type Identify = Arc<dyn Fn(&HeaderMap) -> Option<Caller> + Send + Sync>;

/// What every request passes through.
pub(super) struct Exchange {
    pub(super) routes: Routes,
    /// The routes as a filter, with what the service has put around them.
    pub(super) filter: BoxedFilter<(Response,)>,
    pub(super) identify: Identify,
    pub(super) config: HttpConfig,
    pub(super) health: Health,
}

impl Exchange {
    pub(super) async fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response {
        let started = Instant::now();
        let matched = self.routes.find(request.method(), request.uri().path());
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
                reply::problem(&Problem::new(500, "The request could not be handled."))
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
            Err(problem) => return reply::problem(&problem),
        };
        if let Some(caller) = (self.identify)(&head.headers) {
            head.extensions.insert(caller);
        }
        if head.method == Method::HEAD {
            head.method = Method::GET; // hyper leaves the body of the answer out
        }
        let routes = TowerToHyperService::new(warp::service(self.filter.clone()));
        match routes.call(Request::from_parts(head, Full::new(body))).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The whole body. All bodies are small, so handlers never deal with half-read or endless ones.
    async fn read(&self, body: Incoming) -> Result<Bytes, Problem> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let too_large =
            || Problem::new(413, format!("The body must not be larger than {} bytes.", self.config.max_body));
        let within_limit = body.size_hint().lower() <= self.config.max_body as u64;
        let read = Limited::new(body, if within_limit { self.config.max_body } else { LINGER }).collect();
        match tokio::time::timeout(self.config.body_timeout, read).await {
            Ok(Ok(_)) if !within_limit => Err(too_large()),
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::new(400, "The body ended before it was complete.")),
            Err(_) => Err(Problem::new(
                408,
                format!("The body did not arrive within {} seconds.", self.config.body_timeout.as_secs()),
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
    // Probes and scrapers ask every few seconds; their spans would bury the others.
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
