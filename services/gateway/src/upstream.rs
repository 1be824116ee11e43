//! The order and payment services, as the gateway asks them over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chassis::http::CorrelationId;
use chassis::telemetry::TraceContext;
use contracts::Problem;
use http::{HeaderValue, Method, StatusCode, header};
use rand::RngExt;
use reqwest::Client;
use tracing::{Instrument, Span, debug, field, info_span};
use url::Url;

/// How often a query or a PUT is sent again after it could not be delivered.
const RETRIES: u32 = 2;

/// Longest pause before it is sent again, in milliseconds.
const MAX_PAUSE_MS: u64 = 100;

/// Why a service gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamError {
    /// It did not answer in time.
    Timeout(&'static str),
    /// It can't be reached, or says itself that it can't answer.
    Unavailable(&'static str),
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Timeout(service) => {
                Self::new(504, format!("The {service} service did not answer in time. Try again."))
            }
            UpstreamError::Unavailable(service) => {
                Self::new(503, format!("The {service} service is not available. Try again."))
            }
        }
    }
}

/// A service's answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

/// One of the services. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Upstream(Arc<Inner>);

struct Inner {
    service: &'static str,
    url: Url,
    timeout: Duration,
    client: Client,
}

/// What to send, and on whose account.
pub(crate) struct Query<'a> {
    /// The path below the service's URL, with its query.
    pub(crate) path: &'a str,
    /// The path's template, for the trace.
    pub(crate) template: &'static str,
    /// Joins everything that one request of a client causes.
    pub(crate) correlation_id: &'a CorrelationId,
}

/// What is to be changed, and by whom. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Change<'a> {
    pub(crate) method: Method,
    pub(crate) body: Bytes,
    /// Who asks, for the audit.
    pub(crate) actor: Option<&'a str>,
}

impl Change<'_> {
    /// Nothing: a question.
    const NONE: Self = Self { method: Method::GET, body: Bytes::new(), actor: None };
}

/// A pooled HTTP client. Proxies and redirects have no place between services.
fn client(url: &Url) -> Result<Client, reqwest::Error> {
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(1))
        .pool_max_idle_per_host(64)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    match url.scheme() {
        "https" => client.build(),
        // Plain HTTP needs no certificate authorities, and must not fail where there are none.
        _ => client.tls_certs_only([]).build(),
    }
}

impl Upstream {
    /// The service at `url`. Fails if that is HTTPS and this machine has no certificate authorities.
    pub(crate) fn new(service: &'static str, url: Url, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = client(&url)?;
        Ok(Self(Arc::new(Inner { service, url, timeout, client })))
    }

    /// Asks a question. One that could not be delivered is asked again, within the same time.
    pub(crate) async fn get(&self, query: Query<'_>) -> Result<Answer, UpstreamError> {
        self.repeat(&query, &Change::NONE).await
    }

    /// Asks for a change. A PUT that could not be delivered is sent again, as a question is: said twice it means the same
    /// (RFC 9110 §9.2.2). Anything else is sent once: whether it was made is not known when there is no answer.
    pub(crate) async fn change(&self, query: Query<'_>, change: Change<'_>) -> Result<Answer, UpstreamError> {
        if change.method == Method::PUT {
            return self.repeat(&query, &change).await;
        }
        let deadline = Instant::now() + self.0.timeout;
        self.judge(self.send(&query, change, deadline).await?)
    }

    /// Sends until it is delivered, or has been sent often enough. A service that is just being replaced closes the
    /// connections that it kept open; the next one goes to its successor.
    async fn repeat(&self, query: &Query<'_>, change: &Change<'_>) -> Result<Answer, UpstreamError> {
        let deadline = Instant::now() + self.0.timeout;
        let mut attempt = 0;
        loop {
            let answer = self.send(query, change.clone(), deadline).await;
            let undelivered = match &answer {
                Ok(answer) => {
                    matches!(answer.status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE)
                }
                Err(error) => matches!(error, UpstreamError::Unavailable(_)),
            };
            if !undelivered || attempt == RETRIES {
                return self.judge(answer?);
            }
            attempt += 1;
            // Jitter, so that callers who were refused together don't come back together.
            let pause = Duration::from_millis(rand::rng().random_range(20..=MAX_PAUSE_MS));
            tokio::time::sleep(pause).await;
        }
    }

    fn judge(&self, answer: Answer) -> Result<Answer, UpstreamError> {
        if answer.status.is_server_error() {
            Err(UpstreamError::Unavailable(self.0.service))
        } else {
            Ok(answer)
        }
    }

    async fn send(
        &self,
        query: &Query<'_>,
        change: Change<'_>,
        deadline: Instant,
    ) -> Result<Answer, UpstreamError> {
        let Inner { service, url, client, .. } = &*self.0;
        let Change { method, body, actor } = change;
        let span = client_span(&method, query, url);
        let address = format!("{}{}", url.as_str().trim_end_matches('/'), query.path);
        let mut request = client
            .request(method, address)
            .timeout(deadline.saturating_duration_since(Instant::now()))
            .header("x-correlation-id", &*query.correlation_id.0);
        for (name, value) in TraceContext::of(&span).headers() {
            request = request.header(name, value);
        }
        if let Some(actor) = actor {
            request = request.header("x-actor", actor);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let exchange = async {
            let response = request.send().await?;
            let status = response.status();
            let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
            Ok::<_, reqwest::Error>(Answer { status, content_type, body: response.bytes().await? })
        };
        match exchange.instrument(span.clone()).await {
            Ok(answer) => {
                span.record("http.response.status_code", i64::from(answer.status.as_u16()));
                Ok(answer)
            }
            Err(error) => {
                let failure = if error.is_timeout() && !error.is_connect() {
                    UpstreamError::Timeout(service)
                } else {
                    UpstreamError::Unavailable(service)
                };
                span.record("otel.status_code", "ERROR");
                span.in_scope(|| debug!(service, error = %error.without_url(), "no answer"));
                Err(failure)
            }
        }
    }
}

fn client_span(method: &Method, query: &Query<'_>, url: &Url) -> Span {
    info_span!(
        "ask",
        otel.name = format!("{method} {}", query.template),
        otel.kind = "client",
        otel.status_code = field::Empty,
        http.request.method = method.as_str(),
        http.response.status_code = field::Empty,
        url.template = query.template,
        server.address = url.host_str(),
        server.port = url.port_or_known_default().map(i64::from),
    )
}
