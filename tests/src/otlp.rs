//! A collector that keeps what it is sent (OTLP over HTTP, protobuf): spans one by one, metrics and logs as they came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use warp::Filter;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// The service that sent it.
    pub service: String,
    /// Its trace, in hexadecimal.
    pub trace_id: String,
    /// Its id, in hexadecimal.
    pub id: String,
    /// Its parent's id; empty at the root.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// What went wrong, if it is an error.
    pub error: Option<String>,
    /// The ids of the spans that it links to.
    pub links: Vec<String>,
    /// Its attributes, each of its own type.
    pub attributes: BTreeMap<String, Value>,
    /// What happened in it: names, and their attributes.
    pub events: Vec<(String, BTreeMap<String, Value>)>,
    /// How long it took.
    pub duration: Duration,
}

/// A collector on a free port of this machine.
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    /// What came for other signals, by the last part of its path.
    others: Arc<Mutex<BTreeMap<String, Vec<Bytes>>>>,
    server: JoinHandle<()>,
}

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let others = Arc::<Mutex<BTreeMap<String, Vec<Bytes>>>>::default();
        let (kept, kept_others) = (Arc::clone(&spans), Arc::clone(&others));
        let traces = warp::post().and(warp::path!("v1" / "traces")).and(warp::body::bytes()).map(
            move |body: Bytes| {
                let request = ExportTraceServiceRequest::decode(body).expect("an OTLP request");
                kept.lock().expect("no thread panicked while it held the lock").extend(read(request));
                let answer = ExportTraceServiceResponse::default().encode_to_vec();
                warp::reply::with_header(answer, "content-type", "application/x-protobuf")
            },
        );
        let other = warp::post().and(warp::path!("v1" / String)).and(warp::body::bytes()).map(
            move |signal: String, body: Bytes| {
                let mut others = kept_others.lock().expect("no thread panicked while it held the lock");
                others.entry(signal).or_default().push(body);
                // An answer without members is an empty message.
                warp::reply::with_header(Vec::<u8>::new(), "content-type", "application/x-protobuf")
            },
        );
        #[expect(clippy::disallowed_methods, reason = "aborted when the collector is dropped")]
        let server = tokio::spawn(warp::serve(traces.or(other)).incoming(listener).run());
        Self { address, spans, others, server }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` must be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has arrived for `metrics` or `logs`, with whatever is no text in it.
    #[must_use]
    pub fn sent(&self, signal: &str) -> String {
        let others = self.others.lock().expect("no thread panicked while it held the lock");
        let bodies = others.get(signal).into_iter().flatten();
        bodies.map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    /// Every span that has arrived.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("no thread panicked while it held the lock").clone()
    }

    /// The spans of one trace that have arrived.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let spans = self.spans.lock().expect("no thread panicked while it held the lock");
        spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        let resource = attributes(resource_spans.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").and_then(Value::as_str).unwrap_or_default().to_owned();
        for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                service: service.clone(),
                trace_id: hex::encode(&span.trace_id),
                id: hex::encode(&span.span_id),
                parent: hex::encode(&span.parent_span_id),
                kind: span.kind(),
                error: span
                    .status
                    .filter(|status| status.code() == StatusCode::Error)
                    .map(|status| status.message),
                name: span.name,
                links: span.links.iter().map(|link| hex::encode(&link.span_id)).collect(),
                attributes: attributes(span.attributes),
                events: span
                    .events
                    .into_iter()
                    .map(|event| (event.name, attributes(event.attributes)))
                    .collect(),
                duration: Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano),
            });
        }
    }
    spans
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let typed = |value: any_value::Value| match value {
        any_value::Value::StringValue(text) => Value::from(text),
        any_value::Value::IntValue(number) => Value::from(number),
        any_value::Value::BoolValue(truth) => Value::from(truth),
        other => Value::from(format!("{other:?}")),
    };
    let pair = |pair: KeyValue| Some((pair.key, typed(pair.value?.value?)));
    pairs.into_iter().filter_map(pair).collect()
}
