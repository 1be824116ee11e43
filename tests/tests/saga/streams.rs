//! `GET /api/orders/{id}/events` as a stream: each step as it happens.

use contracts::{EventType, OrderId, OrderStatus};
use http::StatusCode;
use serde_json::{Value, json};
use tests::api::{UNKNOWN_ID, header};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::event_source::{Block, Event, EventSource, ask, open_streams_are};
use tests::{Api, Stack};

fn path(id: OrderId) -> String {
    format!("/api/orders/{id}/events")
}

/// The steps of the order's timeline, as events.
async fn timeline(api: &Api, id: OrderId) -> Vec<Event> {
    let timeline: Value = api.read(&path(id)).await;
    let text = |step: &Value, name: &str| step[name].as_str().expect("it is text").to_owned();
    let event = |step: &Value| Event {
        id: Some(text(step, "eventId")),
        event: text(step, "eventType"),
        data: step.clone(),
    };
    timeline["events"].as_array().expect("it has steps").iter().map(event).collect()
}

fn end(status: &str) -> Event {
    Event { id: None, event: "end".to_owned(), data: json!({"status": status}) }
}

#[tokio::test]
async fn a_stream_begins_with_what_there_is_goes_on_with_what_comes_and_ends_with_the_saga() {
    let stack = Stack::start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    // At once: the order may not be there yet.
    let mut stream = EventSource::open(&stack.api, &path(id), None).await;
    assert_eq!(stream.types(2).await, ["CreateOrderRequested", "OrderCreated"]);
    let mut late = EventSource::open(&stack.api, &path(id), None).await;
    assert_eq!(late.types(2).await, ["CreateOrderRequested", "OrderCreated"]);
    stack.api.charge_begins(id).await;
    held.release().await;
    for stream in [&mut stream, &mut late] {
        assert_eq!(stream.types(1).await, ["PaymentApproved"]);
    }
    stack.api.cancel(id).await;
    let rest = stream.rest().await;
    let types: Vec<_> = rest.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(types, ["OrderCancelRequested", "OrderCancelled", "PaymentRefunded", "end"]);
    assert_eq!(late.rest().await, rest);

    // One that comes afterwards gets the same as JSON has, and the end.
    let whole = timeline(&stack.api, id).await;
    let again = EventSource::open(&stack.api, &path(id), None).await.rest().await;
    assert_eq!(again, [whole.clone(), vec![end("CANCELLED")]].concat());
    let resumed = EventSource::open(&stack.api, &path(id), whole[3].id.as_deref()).await.rest().await;
    assert_eq!(resumed, [whole[4..].to_vec(), vec![end("CANCELLED")]].concat());
    // As does one that names a step by `after`, as with JSON.
    let after = format!("{}?after={}", path(id), whole[3].id.as_deref().expect("it has one"));
    assert_eq!(EventSource::open(&stack.api, &after, None).await.rest().await, resumed);
    // There is nothing that it does not have: a browser comes back no more.
    let complete = ask(&stack.api, &path(id), whole[5].id.as_deref()).await.expect("an answer");
    assert_eq!(complete.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_stream_ends_where_no_step_can_follow_and_nowhere_else() {
    let stack = Stack::start().await;
    let [declined, failed] = [stack.api.place("10.02").await, stack.api.place("10.03").await];
    for (id, status) in [(declined, "CANCELLED"), (failed, "FAILED")] {
        let events = EventSource::open(&stack.api, &path(id), None).await.rest().await;
        assert_eq!(events.last(), Some(&end(status)));
    }
    // Cancelled before it was placed: the payment service never learns of it.
    let early = OrderId::new();
    stack.api.cancel(early).await;
    stack.api.timeline_has(early, EventType::OrderCancelRequested).await;
    let mut stream = EventSource::open(&stack.api, &path(early), None).await;
    assert_eq!(stream.types(1).await, ["OrderCancelRequested"]);
    stack.amqp.place(early, None).await;
    assert_eq!(stream.types(2).await, ["CreateOrderRequested", "end"]);
}

#[tokio::test]
async fn a_stream_is_asked_for_by_its_media_type_and_no_proxy_holds_it_back() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let stream = ask(&stack.api, &path(id), None).await.expect("an answer");
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
    {
        assert_eq!(header(&stream, name), value);
    }
    let mut stream = EventSource::of(stream, None);
    assert!(matches!(stream.next_block().await, Some(Block::Retry(_))), "it says when to come back");
    let page = stack.api.get(&path(id)).await;
    assert_eq!(header(&page, "content-type"), "application/json");
}

#[tokio::test]
async fn an_order_of_another_client_and_one_that_does_not_exist_are_the_same() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    let id = shop.place("10.01").await;
    shop.order_becomes(id, OrderStatus::Paid).await;
    let unknown: OrderId = UNKNOWN_ID.parse().expect("a UUID");
    for id in [id, unknown] {
        let answer = ask(&app, &path(id), None).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    for api in [&shop, &operator] {
        assert_eq!(EventSource::open(api, &path(id), None).await.types(3).await[2], "PaymentApproved");
    }
    let stranger = ask(&stack.api, &path(id), None).await.expect("an answer");
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stream_stays_open_while_the_order_service_is_away() {
    let mut stack = Stack::start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    let mut stream = EventSource::open(&stack.api, &path(id), None).await;
    assert_eq!(stream.types(2).await, ["CreateOrderRequested", "OrderCreated"]);
    let last = stream.last_event_id.clone();
    stack.order.kill().await;
    // One that comes back gets a stream; one that comes for the first time is told to try again.
    let mut again = EventSource::open(&stack.api, &path(id), last.as_deref()).await;
    let first = ask(&stack.api, &path(id), None).await.expect("an answer");
    assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE);
    stack.order.start_again().await;
    stack.api.charge_begins(id).await;
    held.release().await;
    for stream in [&mut stream, &mut again] {
        assert_eq!(stream.types(1).await, ["PaymentApproved"]);
    }
    stack.api.cancel(id).await;
    for stream in [&mut stream, &mut again] {
        assert_eq!(stream.rest().await.last(), Some(&end("CANCELLED")));
    }
}

#[tokio::test]
async fn the_number_of_open_streams_is_a_metric() {
    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    open_streams_are(&stack.gateway, "0").await;
    let streams = [
        EventSource::open(&stack.api, &path(id), None).await,
        EventSource::open(&stack.api, "/api/events", None).await,
    ];
    open_streams_are(&stack.gateway, "2").await;
    drop(streams);
    open_streams_are(&stack.gateway, "0").await;
}
