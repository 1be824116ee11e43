//! `GET /api/events`: the steps of all orders, page by page and as a stream.

use contracts::feed::{FeedEntry, FeedPage};
use contracts::{EventId, EventType, OrderId, OrderStatus};
use http::StatusCode;
use serde_json::Value;
use tests::api::{problem, refused};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::event_source::{EventSource, ask};
use tests::{Api, Stack, eventually};

/// Places an order and waits until it is paid.
async fn paid(api: &Api) -> OrderId {
    let id = api.place("10.01").await;
    api.order_becomes(id, OrderStatus::Paid).await;
    id
}

/// The steps behind the beginning, read page by page.
async fn pages(api: &Api, query: &str) -> Vec<Vec<FeedEntry>> {
    let (mut path, mut pages) = (format!("/api/events?{query}"), Vec::new());
    loop {
        let response = api.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let link = response.headers().get("link").map(|link| link.to_str().expect("it is text").to_owned());
        let page: FeedPage = response.json().await.expect("the contract's shape");
        pages.push(page.data);
        let Some(link) = link else { return pages };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = format!("/api/events{}", next.expect("a link to the next page"));
    }
}

/// The ids of all steps in the order of the feed, as the database has them.
async fn steps_in_database(stack: &Stack) -> Vec<EventId> {
    let ids = sqlx::query_scalar("SELECT event_id FROM order_events ORDER BY transaction, position");
    ids.fetch_all(&stack.order_database).await.expect("the database answers")
}

/// Waits until every step is below the oldest transaction in progress, on a server that other tests use as well.
async fn all_is_readable(stack: &Stack) {
    eventually("every step can be read", async || {
        let later = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM order_events WHERE transaction >= pg_snapshot_xmin(pg_current_snapshot())",
        );
        match later.fetch_one(&stack.order_database).await.expect("the database answers") {
            0 => Ok(()),
            later => Err(later),
        }
    })
    .await;
}

#[tokio::test]
async fn all_orders_steps_are_read_in_pages_from_the_oldest_on() {
    let stack = Stack::start().await;
    let orders = [paid(&stack.api).await, paid(&stack.api).await, paid(&stack.api).await];
    all_is_readable(&stack).await;
    let pages = pages(&stack.api, "limit=4").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 1]);
    let steps = pages.concat();
    assert!(steps.is_sorted_by_key(|step| step.cursor));
    for id in orders {
        let of_order = steps.iter().filter(|step| step.order_id == id).map(|step| step.step.clone());
        assert_eq!(of_order.collect::<Vec<_>>(), stack.api.timeline(id).await.events);
    }
    let ids: Vec<_> = steps.iter().map(|step| step.step.event_id).collect();
    assert_eq!(ids, steps_in_database(&stack).await);

    let approved = self::pages(&stack.api, "limit=2&type=PaymentApproved").await;
    assert_eq!(approved.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert!(approved.concat().iter().all(|step| step.step.event_type == EventType::PaymentApproved));
    // Where to read on is known without a step too.
    let page: FeedPage = stack.api.read("/api/events?type=OrderCancelled").await;
    assert_eq!((page.data.len(), Some(page.meta.cursor)), (0, steps.last().map(|step| step.cursor)));
    let now: FeedPage = stack.api.read("/api/events?after=now").await;
    assert_eq!((now.data.len(), now.meta), (0, page.meta));
    for (query, wrong) in [("after=soon", "after"), ("type=Shipped", "type"), ("type=", "type")] {
        let response = stack.api.get(&format!("/api/events?{query}")).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, query).await, [wrong]);
    }
}

#[tokio::test]
async fn a_stream_of_all_orders_begins_now_or_where_it_is_told_to() {
    let stack = Stack::start().await;
    let first = paid(&stack.api).await;
    all_is_readable(&stack).await;
    let mut from_now = EventSource::open(&stack.api, "/api/events", None).await;
    let mut from_oldest = EventSource::open(&stack.api, "/api/events?after=0", None).await;
    let mut approvals = EventSource::open(&stack.api, "/api/events?after=0&type=PaymentApproved", None).await;
    let second = paid(&stack.api).await;
    for step in ["CreateOrderRequested", "OrderCreated", "PaymentApproved"] {
        let event = from_now.next().await.expect("the stream goes on");
        assert_eq!(
            (event.event.as_str(), event.data["orderId"].as_str()),
            (step, Some(&*second.to_string()))
        );
        assert_eq!(
            (event.id.as_deref(), event.data["eventType"].as_str()),
            (event.data["cursor"].as_str(), Some(step))
        );
    }
    for id in [first, second] {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(from_oldest.next().await.expect("the stream goes on"));
        }
        let timeline: Value = stack.api.read(&format!("/api/orders/{id}/events")).await;
        for (event, step) in all.iter().zip(timeline["events"].as_array().expect("steps")) {
            assert_eq!(event.data["orderId"], id.to_string());
            for (member, value) in step.as_object().expect("an object") {
                assert_eq!(&event.data[member], value);
            }
        }
        let approval = approvals.next().await.expect("the stream goes on");
        assert_eq!(approval.data, all[2].data);
    }
    // One that comes back has what it did not get, and nothing twice.
    drop(from_now);
    let last = from_oldest.last_event_id.clone();
    drop(from_oldest);
    let third = paid(&stack.api).await;
    let mut resumed = EventSource::open(&stack.api, "/api/events?after=0", last.as_deref()).await;
    let event = resumed.next().await.expect("the stream goes on");
    assert_eq!(
        (event.event.as_str(), event.data["orderId"].as_str()),
        ("CreateOrderRequested", Some(&*third.to_string()))
    );
    let wrong = ask(&stack.api, "/api/events", Some("soon")).await.expect("an answer");
    assert_eq!(refused(wrong, StatusCode::BAD_REQUEST, "Last-Event-ID").await, ["Last-Event-ID"]);
}

#[tokio::test]
async fn a_client_gets_the_steps_of_its_own_orders_and_an_operator_of_all() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    let mut of_all = EventSource::open(&operator, "/api/events", None).await;
    let mut of_app = EventSource::open(&app, "/api/events", None).await;
    let first = paid(&shop).await;
    assert_eq!(of_all.types(3).await[2], "PaymentApproved");
    let second = paid(&app).await;
    let event = of_app.next().await.expect("the stream goes on");
    assert_eq!(event.data["orderId"], second.to_string());
    assert_eq!(of_all.types(3).await[2], "PaymentApproved");
    all_is_readable(&stack).await;
    for (api, orders) in [(&shop, vec![first]), (&app, vec![second]), (&operator, vec![first, second])] {
        let mut seen: Vec<_> = pages(api, "").await.concat().iter().map(|step| step.order_id).collect();
        seen.dedup();
        assert_eq!(seen, orders);
    }
}

#[tokio::test]
async fn streams_of_several_clients_that_read_at_once_are_given_their_own_steps_alone() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    // All at the same place, and told at the same moments. Those that differ in what they ask for don't share.
    let queries = ["", "&type=OrderCreated", "&type=PaymentApproved", "&type=OrderCreated,PaymentApproved"];
    let mut streams = Vec::new();
    for query in queries {
        for (api, sees) in [(&shop, [true, false]), (&app, [false, true]), (&operator, [true, true])] {
            let path = format!("/api/events?after=now{query}");
            streams.push((EventSource::open(api, &path, None).await, sees, query));
        }
    }
    let mut placed = Vec::new();
    for _ in 0..20 {
        let (of_shop, of_app) = tokio::join!(shop.place("10.01"), app.place("10.01"));
        placed.push([of_shop, of_app]);
    }
    for (mut stream, sees, query) in streams {
        let steps = if query.is_empty() { 3 } else { query.split(',').count() };
        let seen_of = |orders: &[OrderId; 2]| {
            orders
                .iter()
                .zip(sees)
                .filter(|(_, sees)| *sees)
                .map(|(id, _)| id.to_string())
                .collect::<Vec<_>>()
        };
        let own: Vec<String> = placed.iter().flat_map(seen_of).collect();
        let mut seen = Vec::new();
        for _ in 0..own.len() * steps {
            let event = stream.next().await.expect("the stream goes on");
            seen.push(event.data["orderId"].as_str().expect("an id").to_owned());
        }
        for order in &own {
            assert_eq!(seen.iter().filter(|seen| *seen == order).count(), steps, "{query}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_no_operators_any_more_reads_no_further() {
    let keys = KeyFile::of(&[SHOP, OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let (shop, operator) = (stack.api.with_key(SHOP), stack.api.with_key(OPERATOR));
    let mut stream = EventSource::open(&operator, "/api/events", None).await;
    paid(&shop).await;
    assert_eq!(stream.types(3).await[2], "PaymentApproved");
    let line = OPERATOR.line.split(" scopes=").next().expect("a line");
    keys.write(&[SHOP.line.to_owned(), format!("{line} scopes=orders:read")]);
    eventually("the key is a client's", async || {
        let orders: contracts::page::Page<contracts::order::Order> = operator.read("/api/orders").await;
        if orders.data.is_empty() { Ok(()) } else { Err("it is an operator's") }
    })
    .await;
    paid(&shop).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_transaction_that_takes_long_delays_the_feed_and_loses_nothing_and_delays_no_order() {
    let stack = Stack::start().await;
    let mut feed = EventSource::open(&stack.api, "/api/events", None).await;
    let mut transaction = stack.order_database.begin().await.expect("the database answers");
    let late = OrderId::new();
    // It has a lower position than what is committed before it.
    sqlx::query(
        "INSERT INTO order_events (order_id, event_id, event_type, occurred_at, payload)
         VALUES ($1, gen_random_uuid(), 'OrderCreated', now(), '{}')",
    )
    .bind(late.as_uuid())
    .execute(&mut *transaction)
    .await
    .expect("it can be inserted");
    let id = stack.api.place("10.01").await;
    let mut of_order = EventSource::open(&stack.api, &format!("/api/orders/{id}/events"), None).await;
    assert_eq!(of_order.types(3).await, ["CreateOrderRequested", "OrderCreated", "PaymentApproved"]);
    let page: FeedPage = stack.api.read("/api/events").await;
    assert_eq!(page.data, [], "nothing is read that something else may come before");
    transaction.commit().await.expect("it is committed");
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(feed.next().await.expect("the stream goes on"));
    }
    assert_eq!(events[0].data["orderId"], late.to_string());
    assert!(events[1..].iter().all(|event| event.data["orderId"] == id.to_string()), "{events:?}");
    let ids: Vec<_> =
        events.iter().map(|event| event.data["eventId"].as_str().expect("it has one")).collect();
    let in_database: Vec<_> = steps_in_database(&stack).await.iter().map(ToString::to_string).collect();
    assert_eq!(ids, in_database);
}

#[tokio::test]
async fn a_cursor_that_is_ahead_of_a_restored_database_is_answered_410() {
    let stack = Stack::start().await;
    let id = paid(&stack.api).await;
    all_is_readable(&stack).await;
    let ahead = "4000000000-1";
    let page = stack.api.get(&format!("/api/events?after={ahead}")).await;
    let stream = ask(&stack.api, "/api/events", Some(ahead)).await.expect("an answer");
    for response in [page, stream] {
        let problem = problem(response).await;
        assert!(problem.status == 410 && problem.detail.contains("after=0"), "{problem:?}");
    }
    assert_eq!(pages(&stack.api, "").await.concat()[0].order_id, id);
}

#[tokio::test]
async fn the_events_of_a_restored_dump_are_read_in_their_order_and_new_ones_behind_them() {
    let mut stack = Stack::start().await;
    let first = paid(&stack.api).await;
    stack.order.kill().await;
    // A dump has the ids of another server's transactions.
    sqlx::query("UPDATE order_events SET transaction = '4000000000'::xid8")
        .execute(&stack.order_database)
        .await
        .expect("it can be changed");
    stack.order.start_again().await;
    eventually("they are read", async || {
        let page: FeedPage = stack.api.read("/api/events").await;
        if page.data.len() == 3 { Ok(()) } else { Err(page.data.len()) }
    })
    .await;
    let second = paid(&stack.api).await;
    all_is_readable(&stack).await;
    let steps = pages(&stack.api, "").await.concat();
    let expected = [stack.api.timeline(first).await.events, stack.api.timeline(second).await.events].concat();
    assert_eq!(steps.into_iter().map(|step| step.step).collect::<Vec<_>>(), expected);
}
