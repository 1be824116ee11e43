//! The order and payment services, as the gateway asks them over HTTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use chassis::http::{CorrelationId, OWNER, Request};
use chassis::telemetry::{TRACE_ONLY, TraceContext, is_recorded, mark_failed, mark_server_error};
use chassis::transport::Current;
use contracts::list;
use contracts::load::Load;
use contracts::{OwnerFilter, Problem, ProblemType};
use http::{HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response};
use tracing::{Instrument, Span, debug, error, field, info_span};
use url::Url;

use crate::bulkhead::{Bulkheads, Kind};

/// The pauses before a request that was not delivered is sent again: twice, after 20 to 40 ms and after 50 to 100 ms.
/// Gateways whose requests failed together don't repeat them together.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(20))
    .with_factor(2.5)
    .with_jitter()
    .with_max_times(2);

/// How long a service may take to say how much waits. A later answer is out of date.
const LOAD_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a service gave no usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamError {
    /// It did not answer in time.
    Timeout(&'static str),
    /// It can't be reached, or answered that it can't handle requests now (502, 503).
    Unavailable(&'static str),
    /// It was not asked: too many requests of the same kind are under way.
    Busy(&'static str),
    /// It failed to handle the request (another 5xx).
    Failed(&'static str),
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Timeout(service) => Self::new(
                ProblemType::ServiceTimeout,
                format!("The {service} service did not answer in time. Try again."),
            ),
            UpstreamError::Busy(service) => Self::new(
                ProblemType::ServiceUnavailable,
                format!("Too many requests to the {service} service are under way. Try again."),
            ),
            UpstreamError::Unavailable(service) | UpstreamError::Failed(service) => Self::new(
                ProblemType::ServiceUnavailable,
                format!("The {service} service is not available. Try again."),
            ),
        }
    }
}

/// A request to a service.
pub(crate) struct UpstreamRequest<'a> {
    pub(crate) method: Method,
    /// What it asks for.
    pub(crate) kind: Kind,
    /// The template of the path, for the trace.
    pub(crate) template: &'static str,
    /// The path below the service's URL, with its query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// Whose things it is about.
    pub(crate) within: OwnerFilter,
    /// Joins everything that one request of a client causes.
    pub(crate) correlation_id: &'a CorrelationId,
    /// Who asks for a change, for the audit.
    pub(crate) actor: Option<&'a str>,
    /// Where it belongs, if it is not to be seen in the trace.
    pub(crate) beside_trace: Option<&'a TraceContext>,
}

/// Who asks for something that is read for several.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) correlation_id: &'a CorrelationId,
    /// Where it belongs, if it is not to be seen in the trace.
    pub(crate) beside_trace: Option<&'a TraceContext>,
}

impl<'a> Asker<'a> {
    /// A request, in whose trace it is seen.
    pub(crate) const fn of(request: &'a Request) -> Self {
        Self { correlation_id: &request.correlation_id, beside_trace: None }
    }

    /// Asks for the things of all clients at a path.
    pub(crate) fn get(self, path: &'static str) -> UpstreamRequest<'a> {
        let Self { correlation_id, beside_trace } = self;
        let get = UpstreamRequest::get(path, path.to_owned(), OwnerFilter::Any, correlation_id);
        let kind = if beside_trace.is_some() { Kind::Stream } else { Kind::One };
        UpstreamRequest { kind, beside_trace, ..get }
    }
}

impl<'a> UpstreamRequest<'a> {
    pub(crate) fn get(
        template: &'static str,
        path: String,
        within: OwnerFilter,
        correlation_id: &'a CorrelationId,
    ) -> Self {
        let (method, kind, body) = (Method::GET, Kind::One, Bytes::new());
        Self { method, kind, template, path, body, within, correlation_id, actor: None, beside_trace: None }
    }
}

/// A service's response: not an error of the service.
pub(crate) struct UpstreamResponse {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    /// To the next page, relative to this one.
    pub(crate) link: Option<HeaderValue>,
    /// Of a list: it has the filters and the order that were asked for.
    pub(crate) is_list_heeded: bool,
    pub(crate) body: Bytes,
}

/// One of the services.
pub(crate) struct Upstream {
    service: &'static str,
    url: Url,
    timeout: Duration,
    client: Current<Client>,
    bulkheads: Bulkheads,
    /// It was reported that the service refuses this gateway.
    is_refused: AtomicBool,
}

impl Upstream {
    /// The service at `url`.
    pub(crate) fn new(service: &'static str, url: Url, timeout: Duration, client: Current<Client>) -> Self {
        let (bulkheads, is_refused) = (Bulkheads::default(), AtomicBool::new(false));
        Self { service, url, timeout, client, bulkheads, is_refused }
    }

    /// Sends a request. A GET or PUT that was not delivered is sent again, within the same time: a service that is just
    /// being replaced closes its idle connections, and the next connection goes to its successor. Other methods are sent
    /// once, since without a response it is not known whether the change was made. Where too many requests of its kind are
    /// under way and waiting, it is not sent at all.
    pub(crate) async fn send(
        &self,
        request: &UpstreamRequest<'_>,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let deadline = Instant::now() + self.timeout;
        let place = tokio::time::timeout(self.timeout, self.bulkheads.enter(request.kind)).await;
        let _place = place
            .map_err(|_| UpstreamError::Timeout(self.service))?
            .ok_or(UpstreamError::Busy(self.service))?;
        if !matches!(request.method, Method::GET | Method::PUT) {
            return self.attempt(request, deadline).await;
        }
        (|| self.attempt(request, deadline))
            .retry(PAUSES)
            .sleep(tokio::time::sleep)
            .when(|error| matches!(error, UpstreamError::Unavailable(_)))
            .await
    }

    /// Asks how much waits in the service; `None` if it does not say so in time, or can't. It is asked too often to be seen in
    /// traces.
    pub(crate) async fn load(&self) -> Option<Load> {
        let address = format!("{}/load", self.url.as_str().trim_end_matches('/'));
        let request = self.client.get().get(address).timeout(LOAD_TIMEOUT);
        let answer = async {
            let response = request.send().await?;
            self.note_refusal(response.status());
            response.error_for_status()?.bytes().await
        };
        serde_json::from_slice(&answer.await.ok()?).ok()
    }

    /// Opens the response in which the service tells what changes (`GET /changes`); `None` if it has none, as one of an older
    /// version. It lasts too long to be seen in traces.
    pub(crate) async fn changes(&self) -> Result<Option<Response>, UpstreamError> {
        let address = format!("{}/changes", self.url.as_str().trim_end_matches('/'));
        let answer = tokio::time::timeout(self.timeout, self.client.get().get(address).send()).await;
        let response = answer
            .map_err(|_| UpstreamError::Timeout(self.service))?
            .map_err(|_| UpstreamError::Unavailable(self.service))?;
        self.note_refusal(response.status());
        match response.status() {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(UpstreamError::Unavailable(self.service)),
        }
    }

    /// Reports once that the service refuses this gateway, until it does not any more. No caller can mend that.
    fn note_refusal(&self, status: StatusCode) {
        let refused = status == StatusCode::UNAUTHORIZED;
        if self.is_refused.swap(refused, Ordering::Relaxed) != refused && refused {
            let service = self.service;
            error!(
                service,
                "the service refuses this gateway: its SERVICE_TOKEN, or the name in its certificate, is not what the \
                 service knows"
            );
        }
    }

    async fn attempt(
        &self,
        request: &UpstreamRequest<'_>,
        deadline: Instant,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let Self { service, url, .. } = self;
        let span = client_span(request, url);
        let address = format!("{}{}", url.as_str().trim_end_matches('/'), request.path);
        let mut sending = self
            .client
            .get()
            .request(request.method.clone(), address)
            .timeout(deadline.saturating_duration_since(Instant::now()))
            .header("x-correlation-id", &*request.correlation_id.0)
            .header(OWNER, request.within.as_str());
        let of_span = request.beside_trace.is_none().then(|| TraceContext::of(&span));
        for (name, value) in of_span.iter().chain(request.beside_trace).flat_map(TraceContext::headers) {
            sending = sending.header(name, value);
        }
        if let Some(actor) = request.actor {
            sending = sending.header("x-actor", actor);
        }
        if !request.body.is_empty() {
            sending = sending.header(header::CONTENT_TYPE, "application/json").body(request.body.clone());
        }
        let exchange = async {
            let response = sending.send().await?;
            let status = response.status();
            let header = |name| response.headers().get(name).cloned();
            let (content_type, link) = (header(header::CONTENT_TYPE), header(header::LINK));
            let is_list_heeded = response.headers().contains_key(list::HEEDED);
            let body = response.bytes().await?;
            Ok::<_, reqwest::Error>(UpstreamResponse { status, content_type, link, is_list_heeded, body })
        };
        match exchange.instrument(span.clone()).await {
            Ok(response) => {
                span.record("http.response.status_code", i64::from(response.status.as_u16()));
                if response.status.is_server_error() {
                    mark_server_error(&span, response.status);
                }
                self.note_refusal(response.status);
                match response.status {
                    StatusCode::UNAUTHORIZED => Err(UpstreamError::Failed(service)),
                    StatusCode::SERVICE_UNAVAILABLE if is_outcome_unknown(&response) => Ok(response),
                    StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                        Err(UpstreamError::Unavailable(service))
                    }
                    status if status.is_server_error() => Err(UpstreamError::Failed(service)),
                    _ => Ok(response),
                }
            }
            Err(error) => {
                let (failure, error_type) = if error.is_timeout() && !error.is_connect() {
                    (UpstreamError::Timeout(service), "timeout")
                } else {
                    (UpstreamError::Unavailable(service), "unavailable")
                };
                let error = error.without_url().to_string();
                mark_failed(&span, error_type, &error);
                span.in_scope(|| debug!(service, error, "a service did not respond"));
                Err(failure)
            }
        }
    }
}

/// Whether a service says that it may have made a change or not. Its own words tell what to do then.
fn is_outcome_unknown(response: &UpstreamResponse) -> bool {
    let problem = serde_json::from_slice::<Problem>(&response.body);
    problem.is_ok_and(|problem| problem.type_uri == ProblemType::OutcomeUnknown.uri())
}

fn client_span(request: &UpstreamRequest<'_>, url: &Url) -> Span {
    if request.beside_trace.is_some() {
        return Span::none();
    }
    info_span!(
        target: TRACE_ONLY,
        "ask",
        otel.name = is_recorded(&Span::current()).then(|| format!("{} {}", request.method, request.template)),
        otel.kind = "client",
        error.r#type = field::Empty,
        http.request.method = request.method.as_str(),
        http.response.status_code = field::Empty,
        url.template = request.template,
        server.address = url.host_str(),
        server.port = url.port_or_known_default().map(i64::from),
    )
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder;

    use super::*;

    #[test]
    fn a_request_is_repeated_twice_within_a_tenth_of_a_second_each() {
        for _ in 0..100 {
            let pauses: Vec<_> = PAUSES.build().map(|pause| pause.as_millis()).collect();
            assert!(matches!(pauses[..], [20..=40, 50..=100]), "{pauses:?}");
        }
    }
}
