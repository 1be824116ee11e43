//! What somebody on call finds in a real Jaeger.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use futures_util::future::join_all;
use http::StatusCode;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use local_stack::jaeger::{self, Jaeger, Storage};
use local_stack::{Directory, Installation};
use reqwest::Url;
use serde_json::{Value, json};
use tests::api::{accepted, header, order};
use tests::{Stack, eventually};

use super::tracing::{PLACED, trace_of};

/// Orders that are placed at once.
const ORDERS: usize = 500;

#[tokio::test]
#[ignore = "needs Jaeger, which ./dev jaeger builds"]
async fn jaeger_has_every_saga_whole_finds_what_went_wrong_and_draws_the_services() {
    let installation = Installation::of_this_machine();
    let cache = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/paysaga"));
    let program = jaeger::find(&installation, cache.as_deref()).expect("there is a Jaeger");
    let directory = Directory::ephemeral(&installation).await.expect("there is room");
    let mut jaeger =
        Jaeger::start(&program, &directory, &Storage::of(&directory)).await.expect("Jaeger starts");
    let api = JaegerApi(jaeger.url());
    let stack = Stack::with()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_url())
        // As `paysaga up` has it: one host, one clock.
        .env("OTEL_RESOURCE_ATTRIBUTES", "ip=127.0.0.1")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "65536")
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .start()
        .await;

    let placed = join_all((0..ORDERS).map(|_| place(&stack))).await;
    let (traces, ids): (Vec<_>, Vec<_>) = placed.into_iter().unzip();
    for id in &ids {
        stack.api.order_becomes(*id, OrderStatus::Paid).await;
    }
    for trace_id in &traces {
        api.has_whole_saga(trace_id).await;
    }

    let cancelled = stack.api.patch(&format!("/api/orders/{}/cancel", ids[0]), "").await;
    let cancellation = trace_of(&cancelled);
    stack.api.payment_becomes(ids[0], PaymentStatus::Refunded).await;
    for (from, to) in [(&traces[0], &cancellation), (&cancellation, &traces[0])] {
        eventually(&format!("{from} links to {to}"), async || {
            let spans = api.trace(from).await;
            let links = spans.iter().flat_map(references).any(|reference| reference["traceID"] == **to);
            if links { Ok(()) } else { Err(format!("{spans:#?}")) }
        })
        .await;
    }

    let poisoned = "1af7651916cd43dd8448eb211c80319c";
    let mut headers = FieldTable::default();
    let traceparent = format!("00-{poisoned}-b7ad6b7169203331-01");
    headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
    let properties = BasicProperties::default().with_headers(headers);
    stack.amqp.publish(EventType::CreateOrderRequested, b"no JSON", properties).await;
    api.finds("order", &json!({"error": "true"}), poisoned).await;
    api.finds("order", &json!({"error.type": "unreadable"}), poisoned).await;
    api.finds(
        "order",
        &json!({"saga.outcome": "CANCELLED", "cancel.reason": "USER_REQUESTED"}),
        &cancellation,
    )
    .await;
    api.finds("payment", &json!({"order.id": ids[0].to_string()}), &cancellation).await;

    eventually("the graph has the three services", async || {
        let edges = api.dependencies().await;
        let wanted = [("gateway", "order"), ("order", "payment"), ("payment", "order")];
        let has = |(parent, child)| edges.contains(&(String::from(parent), String::from(child)));
        if wanted.into_iter().all(has) { Ok(()) } else { Err(format!("{edges:?}")) }
    })
    .await;
    jaeger.stop().await.expect("Jaeger stops");
}

/// Places an order, as soon as there is room for it; returns its trace as well.
async fn place(stack: &Stack) -> (String, OrderId) {
    loop {
        let placed = stack.api.post(order("10.01")).await;
        if placed.status() != StatusCode::SERVICE_UNAVAILABLE {
            return (trace_of(&placed), accepted(placed).await);
        }
        let seconds = header(&placed, "retry-after").parse().expect("a number of seconds");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Jaeger as its pages see it.
struct JaegerApi(String);

impl JaegerApi {
    async fn data(&self, path: &str, query: &[(&str, String)]) -> Value {
        let url = Url::parse_with_params(&format!("{}{path}", self.0), query).expect("a URL");
        let answer = reqwest::get(url).await.expect("Jaeger answers");
        let mut answer: Value = answer.json().await.expect("it answers with JSON");
        answer["data"].take()
    }

    /// The spans of a trace; none before they have arrived.
    async fn trace(&self, trace_id: &str) -> Vec<Value> {
        let traces = self.data(&format!("/api/traces/{trace_id}"), &[]).await;
        traces[0]["spans"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a trace has every span of a paid order once, and no other but waits; none is an orphan or moved in time.
    async fn has_whole_saga(&self, trace_id: &str) {
        let mut expected: Vec<_> = PLACED.iter().map(|(_, name, ..)| *name).collect();
        expected.sort_unstable();
        eventually(&format!("{trace_id} is whole"), async || {
            let spans = self.trace(trace_id).await;
            let names = spans.iter().filter_map(|span| span["operationName"].as_str());
            let mut names: Vec<_> = names.filter(|name| !name.starts_with("wait: ")).collect();
            names.sort_unstable();
            let known: HashSet<_> = spans.iter().map(|span| &span["spanID"]).collect();
            let parents = spans.iter().flat_map(references).filter(|link| link["refType"] == "CHILD_OF");
            let orphans = parents.filter(|parent| !known.contains(&parent["spanID"])).count();
            let warnings: Vec<_> = spans.iter().filter(|span| !span["warnings"].is_null()).collect();
            if names == expected && orphans == 0 && warnings.is_empty() {
                Ok(())
            } else {
                Err(format!("{names:#?}, {orphans} orphans, {warnings:#?}"))
            }
        })
        .await;
    }

    /// Waits until a search by tags finds a trace.
    async fn finds(&self, service: &str, tags: &Value, trace_id: &str) {
        let query = [
            ("service", service.to_owned()),
            ("tags", tags.to_string()),
            ("lookback", "1h".to_owned()),
            ("limit", "1000".to_owned()),
        ];
        eventually(&format!("{tags} finds {trace_id}"), async || {
            let found = self.data("/api/traces", &query).await;
            let ids = found.as_array().into_iter().flatten().map(|trace| &trace["traceID"]);
            let ids: Vec<_> = ids.collect();
            if ids.iter().any(|id| **id == trace_id) { Ok(()) } else { Err(format!("{ids:?}")) }
        })
        .await;
    }

    /// Which service calls which.
    async fn dependencies(&self) -> HashSet<(String, String)> {
        let now = contracts::Timestamp::now().as_datetime().unix_timestamp_nanos() / 1_000_000;
        let lookback = Duration::from_hours(1).as_millis();
        let query = [("endTs", now.to_string()), ("lookback", lookback.to_string())];
        let edges = self.data("/api/dependencies", &query).await;
        let text = |edge: &Value, name: &str| edge[name].as_str().unwrap_or_default().to_owned();
        edges
            .as_array()
            .into_iter()
            .flatten()
            .map(|edge| (text(edge, "parent"), text(edge, "child")))
            .collect()
    }
}

/// What a span refers to: its parent, and the spans that it links to.
fn references(span: &Value) -> impl Iterator<Item = &Value> {
    span["references"].as_array().into_iter().flatten()
}
