//! What a stream may cost, how long it lasts, and how it ends.

use std::time::Duration;

use contracts::{OrderId, OrderStatus};
use http::StatusCode;
use rustix::process::Signal;
use tests::api::{header, problem};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::event_source::{Block, EventSource, ask, open_streams_are};
use tests::{Api, Stack, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn path(id: OrderId) -> String {
    format!("/api/orders/{id}/events")
}

#[tokio::test]
async fn a_caller_has_so_many_streams_open_at_most_and_they_are_no_requests_under_way() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("STREAM_LIMIT", "2")
        .gateway_env("CONCURRENCY_LIMIT", "1")
        .start()
        .await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    let id = shop.place("10.01").await;
    let first = EventSource::open(&shop, &path(id), None).await;
    let _second = EventSource::open(&shop, "/api/events", None).await;
    let refused = ask(&shop, "/api/events", None).await.expect("an answer");
    assert_eq!((refused.status(), &*header(&refused, "retry-after")), (StatusCode::TOO_MANY_REQUESTS, "5"));
    assert!(problem(refused).await.detail.contains("streams"));
    shop.order_becomes(id, OrderStatus::Paid).await;
    let _of_app = EventSource::open(&app, "/api/events", None).await;
    let _of_operator = [
        EventSource::open(&operator, "/api/events", None).await,
        EventSource::open(&operator, "/api/events", None).await,
        EventSource::open(&operator, "/api/events", None).await,
    ];
    drop(first);
    eventually("one more is granted", async || {
        match ask(&shop, "/api/events", None).await.expect("an answer").status() {
            StatusCode::OK => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_on_which_nothing_happens_gives_signs_of_life_that_say_where_to_resume() {
    let stack = Stack::start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    let mut of_order = EventSource::open(&stack.api, &path(id), None).await;
    of_order.types(2).await;
    // It sees none of the steps, and is past them.
    let mut of_all = EventSource::open(&stack.api, "/api/events?after=0&type=PaymentApproved", None).await;
    assert!(matches!(of_all.next_block().await, Some(Block::Retry(_))));
    assert!(matches!(of_all.next_block().await, Some(Block::Heartbeat(Some(_)))));
    let (order, all) = tokio::join!(of_order.next_block(), of_all.next_block());
    assert_eq!(order, Some(Block::Heartbeat(None)));
    let last = stack.api.read::<contracts::feed::FeedPage>("/api/events?after=now").await.meta.cursor;
    assert_eq!(all, Some(Block::Heartbeat(Some(last.to_string()))));
    held.release().await;
}

#[tokio::test]
async fn a_gateway_that_stops_ends_its_streams_and_tells_clients_to_come_back_at_different_times() {
    let mut stack = Stack::start().await;
    let held = stack.block_provider().await;
    let id = stack.api.place("10.01").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = EventSource::open(&stack.api, &path(id), None).await;
        stream.types(2).await;
        streams.push(stream);
    }
    stack.gateway.signal(Signal::TERM);
    let mut times = Vec::new();
    for mut stream in streams {
        assert_eq!(stream.rest().await, []);
        times.push(stream.retry.expect("it says when to come back"));
    }
    assert_eq!(stack.gateway.ended().await.code(), Some(0));
    times.sort();
    times.dedup();
    assert!(times.len() == 5 && times[0] >= Duration::from_secs(1), "{times:?}");
    held.release().await;
}

#[tokio::test]
async fn an_order_service_that_stops_does_so_in_time_and_its_streams_go_on_at_the_next() {
    let mut stack = Stack::start().await;
    let mut stream = EventSource::open(&stack.api, "/api/events", None).await;
    let id = stack.api.place("10.01").await;
    stream.types(3).await;
    assert_eq!(stack.order.stop().await.code(), Some(0), "{}", stack.order.log());
    stack.order.start_again().await;
    stack.api.cancel(id).await;
    assert_eq!(stream.types(3).await, ["OrderCancelRequested", "OrderCancelled", "PaymentRefunded"]);
}

#[tokio::test]
async fn nothing_more_is_sent_to_a_caller_whose_key_was_revoked() {
    let keys = KeyFile::of(&[SHOP, OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let [shop, operator] = [SHOP, OPERATOR].map(|key| stack.api.with_key(key));
    let id = shop.place("10.01").await;
    let mut stream = EventSource::open(&shop, &path(id), None).await;
    stream.types(3).await;
    keys.write(&[OPERATOR.line]);
    eventually("the key is not known any more", async || match shop.get("/api/orders").await.status() {
        StatusCode::UNAUTHORIZED => Ok(()),
        status => Err(status),
    })
    .await;
    operator.cancel(id).await;
    assert_eq!(stream.rest().await, []);
    let again = ask(&shop, &path(id), None).await.expect("an answer");
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_stream_is_cut_off() {
    let stack = Stack::start().await;
    // More than the kernel keeps for it.
    sqlx::query(
        "INSERT INTO order_events (order_id, event_id, event_type, occurred_at, payload)
         SELECT gen_random_uuid(), gen_random_uuid(), 'OrderCreated', now(), jsonb_build_object('text', repeat('x', 10000))
         FROM generate_series(1, 2000)",
    )
    .execute(&stack.order_database)
    .await
    .expect("they can be inserted");
    let mut client = TcpStream::connect(stack.gateway.address()).await.expect("it listens");
    let request = "GET /api/events?after=0 HTTP/1.1\r\nHost: gateway\r\nAccept: text/event-stream\r\n\r\n";
    client.write_all(request.as_bytes()).await.expect("it reads");
    open_streams_are(&stack.gateway, "1").await;
    open_streams_are(&stack.gateway, "0").await;
    assert!(Api::new(stack.gateway.url()).get("/api/orders").await.status().is_success());
}
