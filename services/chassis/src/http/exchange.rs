//! One request and its response: correlation id, server span, caller, metrics.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use contracts::{Problem, ProblemType};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::TraceContextExt;
use tracing::{Instrument, Span, error, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::body::Limits;
use super::context::{CORRELATION_ID, ClientCertificate};
use super::{Body, Caller, CorrelationId, HttpConfig, Routes, Unidentified, reply};
use crate::health::Health;
use crate::telemetry::{METER, TraceContext, is_recorded, mark_server_error};

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("http.server.request.duration")
        .with_unit("s")
        .with_description("Time to answer HTTP requests.")
        .build()
});

/// Finds out who sent a request, from its path, its headers and the address that it came from.
pub(super) type Identify =
    Arc<dyn Fn(&str, &HeaderMap, IpAddr) -> Result<Caller, Unidentified> + Send + Sync>;

/// What every request passes through.
pub(super) struct Exchange {
    pub(super) routes: Routes,
    /// The routes as a filter, with what the service has put around them.
    pub(super) filter: BoxedFilter<(Response,)>,
    /// Where it matters who sends requests.
    pub(super) identify: Option<Identify>,
    pub(super) config: HttpConfig,
    /// The bounds of the requests' bodies.
    pub(super) bodies: Arc<Limits>,
    pub(super) health: Health,
}

/// Who is at the other end of a connection, as far as that tells.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) certificate: Option<ClientCertificate>,
}

/// Marks a response whose request had a body that was not read to its end. A response extension.
#[derive(Clone, Copy)]
pub(super) struct BodyUnread;

impl Exchange {
    pub(super) async fn answer(&self, mut request: Request<Incoming>, client: Client) -> Response {
        let started = Instant::now();
        let matched = self.routes.find(request.method(), request.uri().path());
        let template = matched.template();
        let method = known_method(request.method());
        let correlation_id = CorrelationId::of(request.headers());
        let path = request.uri().path();
        let caller = self.identify.as_ref().map(|identify| identify(path, request.headers(), client.address));
        let is_stranger = matches!(caller, Some(Err(_)));
        let span = server_span(&request, method, template, &correlation_id, is_stranger);
        let trace = TraceContext::of(&span);

        let extensions = request.extensions_mut();
        extensions.insert(correlation_id.clone());
        extensions.insert(matched);
        if let Some(certificate) = client.certificate {
            extensions.insert(certificate);
        }
        match caller {
            Some(Ok(caller)) => _ = extensions.insert(caller),
            Some(Err(unidentified)) => _ = extensions.insert(unidentified),
            None => {}
        }

        let mut response = AssertUnwindSafe(self.respond(request).instrument(span.clone()))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                span.in_scope(|| error!("a request handler panicked"));
                reply::problem(&Problem::new(ProblemType::InternalError, "The request could not be handled."))
            });
        self.finish(&mut response, &correlation_id, &trace);

        let status = i64::from(response.status().as_u16());
        // Not a field: each that is recorded has all of them written down again for logs, and this is the last of it.
        span.set_attribute("http.response.status_code", status);
        if response.status().is_server_error() {
            mark_server_error(&span, response.status());
        }
        if !template.is_some_and(is_polled) {
            DURATION.record(
                started.elapsed().as_secs_f64(),
                &[
                    KeyValue::new("http.request.method", method),
                    KeyValue::new("http.route", template.unwrap_or("unknown")),
                    KeyValue::new("http.response.status_code", status),
                ],
            );
        }
        response
    }

    async fn respond(&self, request: Request<Incoming>) -> Response {
        let (mut head, body) = request.into_parts();
        let body = Body::new(body, &self.bodies);
        head.extensions.insert(body.clone());
        if head.method == Method::HEAD {
            head.method = Method::GET; // hyper leaves the body of the answer out
        }
        let routes = TowerToHyperService::new(warp::service(self.filter.clone()));
        let mut response = match routes.call(Request::from_parts(head, Empty::<Bytes>::new())).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if !body.is_complete() {
            // The next request would begin after the rest of this one's body, and that won't be read.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response.extensions_mut().insert(BodyUnread);
        }
        response
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

fn server_span(
    request: &Request<Incoming>,
    method: &'static str,
    template: Option<&'static str>,
    correlation_id: &CorrelationId,
    is_stranger: bool,
) -> Span {
    if template.is_some_and(is_polled) {
        return Span::none();
    }
    let span = info_span!(
        "request",
        otel.kind = "server",
        http.request.method = method,
        http.route = template,
        url.path = request.uri().path(),
        error.r#type = field::Empty,
        order.id = field::Empty,
        correlation.id = &*correlation_id.0,
    );
    let context = TraceContext::from_headers(request.headers());
    if !is_stranger {
        context.make_parent_of(&span);
    }
    // Now it is decided whether it is recorded.
    if is_recorded(&span) {
        let name = template.map_or_else(|| method.to_owned(), |template| format!("{method} {template}"));
        span.context().span().update_name(name);
        // For the trace alone.
        span.set_attribute("url.scheme", "http");
        if is_stranger {
            // Whether a trace is recorded is decided here and not by a caller without a key, who could force it or hide in one.
            context.link_to(&span);
        }
    }
    span
}

/// Probes, scrapers and gateways ask again and again, or for as long as they live; their spans and their durations would bury the
/// others.
fn is_polled(template: &str) -> bool {
    template.starts_with("/health/")
        || template.ends_with("/metrics")
        || matches!(template, "/load" | "/changes")
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
