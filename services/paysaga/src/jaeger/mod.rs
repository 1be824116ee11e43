//! A client of Jaeger: which traces an order belongs to, and where they can be seen.

mod address;

use std::time::Duration;

use contracts::Timestamp;
use contracts::topology::Service;
use local_stack::http::ClientError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::http_client;

pub use address::{InvalidJaegerUrl, JaegerUrl, Search};

/// How long Jaeger may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Jaeger can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum JaegerError {
    /// There is no client for it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It gives no answer, or one that is not Jaeger's.
    #[error("{url} does not answer as Jaeger does: {source}")]
    Answer {
        /// Which Jaeger.
        url: JaegerUrl,
        /// Why.
        source: reqwest::Error,
    },
}

/// A trace that Jaeger has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundTrace {
    /// Its id.
    pub trace_id: String,
    /// What it began with, a request for instance.
    pub root: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Where it can be seen.
    pub url: String,
    /// The correlation id that its first span with one has.
    pub correlation_id: Option<String>,
}

/// The traces that a search finds among the spans of the services that know orders, the oldest first.
pub async fn find(url: &JaegerUrl, search: Search) -> Result<Vec<FoundTrace>, JaegerError> {
    let no_answer =
        |source: reqwest::Error| JaegerError::Answer { url: url.clone(), source: source.without_url() };
    let client =
        http_client::builder(url.is_encrypted())?.timeout(TIMEOUT).build().map_err(ClientError::from)?;
    let mut found: Vec<FoundTrace> = Vec::new();
    for service in Service::WITH_DATABASE {
        let response = client.get(url.of_api(service.name(), search)).send().await.map_err(no_answer)?;
        let answer: Answer =
            response.error_for_status().map_err(no_answer)?.json().await.map_err(no_answer)?;
        for trace in answer.data {
            if found.iter().all(|known| known.trace_id != trace.trace_id) {
                found.extend(trace.found(url));
            }
        }
    }
    found.sort_by_key(|trace| trace.started_at);
    Ok(found)
}

/// The answer of Jaeger's API for its own pages.
#[derive(Deserialize)]
struct Answer {
    data: Vec<Trace>,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    operation_name: String,
    /// Microseconds since 1970.
    start_time: i64,
    #[serde(default)]
    tags: Vec<Tag>,
    /// Its parent, and what it links to.
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
}

impl Span {
    fn has_parent(&self) -> bool {
        self.references.iter().any(|reference| reference.ref_type == "CHILD_OF")
    }
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: Value,
}

impl Trace {
    /// `None` without a span.
    fn found(mut self, url: &JaegerUrl) -> Option<FoundTrace> {
        self.spans.sort_by_key(|span| span.start_time);
        let first = self.spans.first()?;
        let started_at =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(first.start_time) * 1_000).ok()?;
        let correlation_id =
            self.spans.iter().flat_map(|span| &span.tags).find(|tag| tag.key == "correlation.id");
        Some(FoundTrace {
            // A wait is told to the millisecond, and may seem to begin before what it follows.
            root: self.spans.iter().find(|span| !span.has_parent()).unwrap_or(first).operation_name.clone(),
            started_at: started_at.into(),
            url: url.of_trace(&self.trace_id),
            correlation_id: correlation_id.and_then(|tag| tag.value.as_str()).map(str::to_owned),
            trace_id: self.trace_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_by_the_first_span_without_a_parent() {
        let answer = r#"{"data": [{"traceID": "4bf9", "spans": [
            {"operationName": "charge", "startTime": 1767323045700000, "tags": []},
            {"operationName": "wait: outbox and queue", "startTime": 1767323045678000, "tags": [],
             "references": [{"refType": "CHILD_OF", "traceID": "4bf9", "spanID": "1"}]},
            {"operationName": "POST /api/orders", "startTime": 1767323045678000, "tags": [
                {"key": "correlation.id", "type": "string", "value": "c-1"},
                {"key": "http.response.status_code", "type": "int64", "value": 202}]}]},
            {"traceID": "empty", "spans": []}], "total": 0, "errors": null}"#;
        let answer: Answer = serde_json::from_str(answer).unwrap();
        let url = "http://127.0.0.1:16686".parse().unwrap();
        let found: Vec<_> = answer.data.into_iter().filter_map(|trace| trace.found(&url)).collect();
        let expected = FoundTrace {
            trace_id: "4bf9".to_owned(),
            root: "POST /api/orders".to_owned(),
            started_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            url: "http://127.0.0.1:16686/trace/4bf9".to_owned(),
            correlation_id: Some("c-1".to_owned()),
        };
        assert_eq!(found, [expected]);
    }
}
