//! Lists of what has something in common: a status, a customer, a time.

use std::collections::HashMap;

use contracts::order::Order;
use contracts::page::{Page, Slice};
use contracts::payment::Payment;
use contracts::topology::Service;
use contracts::{OrderId, OrderStatus, PaymentStatus};
use futures_util::future::join_all;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::Stack;
use tests::api::{Api, UNKNOWN_ID, USER, accepted, problem, refused};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::programs::environment;
use tests::service::ServiceProcess;
use tokio::net::TcpListener;
use warp::Filter;

/// A customer of its own.
const OTHER_USER: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";

async fn place_for(api: &Api, user: &str) -> OrderId {
    accepted(api.post(json!({"userId": user, "total": 10.01}).to_string()).await).await
}

async fn order(api: &Api, id: OrderId) -> Order {
    api.order(id).await.expect("there is this order")
}

/// The ids of a list's items from there on, as a client reads them that follows the links.
async fn follow(api: &Api, path: &str, mut query: String) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let answer = api.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}{query}");
        let link = answer.headers().get(header::LINK).cloned();
        let part: Value = answer.json().await.expect("JSON");
        let items = part["data"].as_array().expect("a list");
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        let Some(link) = link else { return ids };
        let link = link.to_str().expect("it is text");
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        next.expect("a link to what comes next").clone_into(&mut query);
    }
}

/// Six orders of two customers, the oldest first: two of them are cancelled.
async fn six_orders(stack: &Stack) -> Vec<Order> {
    let mut ids = Vec::new();
    for user in [USER, OTHER_USER, USER, USER, OTHER_USER, USER] {
        let id = place_for(&stack.api, user).await;
        stack.api.payment_becomes(id, PaymentStatus::Approved).await;
        stack.api.order_becomes(id, OrderStatus::Paid).await;
        ids.push(id);
    }
    for cancelled in [ids[1], ids[3]] {
        stack.api.cancel(cancelled).await;
        stack.api.order_becomes(cancelled, OrderStatus::Cancelled).await;
        stack.api.payment_becomes(cancelled, PaymentStatus::Refunded).await;
    }
    join_all(ids.into_iter().map(|id| order(&stack.api, id))).await
}

#[tokio::test]
async fn a_list_holds_what_fits_every_filter_in_either_order() {
    let stack = Stack::with().env("PROVIDER_APPROVAL_RATE", "1").start().await;
    let orders = six_orders(&stack).await;
    let statuses = [None, Some("PAID"), Some("CANCELLED"), Some("FAILED")];
    let users = [None, Some(USER), Some(OTHER_USER), Some(UNKNOWN_ID)];
    let times: Vec<_> = orders.iter().map(|order| order.created_at).collect();
    let ranges =
        [(None, None), (Some(times[1]), None), (None, Some(times[4])), (Some(times[2]), Some(times[4]))];
    for status in statuses {
        for user in users {
            for (from, to) in ranges {
                let fits = |order: &&Order| {
                    status.is_none_or(|status| order.status.to_string() == status)
                        && user.is_none_or(|user| order.user_id.to_string() == user)
                        && from.is_none_or(|from| order.created_at >= from)
                        && to.is_none_or(|to| order.created_at < to)
                };
                let mut expected: Vec<_> =
                    orders.iter().filter(fits).map(|order| order.id.to_string()).collect();
                let parameters = [
                    status.map(|status| format!("&status={status}")),
                    user.map(|user| format!("&userId={user}")),
                    from.map(|from| format!("&createdFrom={from}")),
                    to.map(|to| format!("&createdTo={to}")),
                ];
                let filter: String = parameters.into_iter().flatten().collect();
                for limit in [1, 2, 100] {
                    let query = format!("?limit={limit}{filter}&sort=oldest");
                    assert_eq!(follow(&stack.api, "/api/orders", query).await, expected, "{filter} {limit}");
                }
                expected.reverse();
                for limit in [1, 2, 100] {
                    let query = format!("?limit={limit}{filter}");
                    assert_eq!(follow(&stack.api, "/api/orders", query).await, expected, "{filter} {limit}");
                }
            }
        }
    }
}

#[tokio::test]
async fn payments_are_listed_by_status_and_time() {
    let stack = Stack::with().env("PROVIDER_APPROVAL_RATE", "1").start().await;
    let orders = six_orders(&stack).await;
    let payments = join_all(orders.iter().map(|order| stack.api.payment_of(order.id))).await;
    let payments: Vec<Payment> = payments.into_iter().flatten().collect();
    let (from, to) = (payments[1].created_at, payments[5].created_at);
    for status in [None, Some("APPROVED"), Some("REFUNDED"), Some("DECLINED")] {
        for range in [None, Some((from, to))] {
            let fits = |payment: &&Payment| {
                status.is_none_or(|status| payment.status.to_string() == status)
                    && range.is_none_or(|(from, to)| (from..to).contains(&payment.created_at))
            };
            let mut expected: Vec<_> =
                payments.iter().filter(fits).map(|payment| payment.id.to_string()).collect();
            let status = status.map(|status| format!("&status={status}")).unwrap_or_default();
            let range =
                range.map(|(from, to)| format!("&createdFrom={from}&createdTo={to}")).unwrap_or_default();
            let oldest_first = format!("?limit=2{status}{range}&sort=oldest");
            assert_eq!(follow(&stack.api, "/api/payments", oldest_first).await, expected, "{status}{range}");
            expected.reverse();
            let newest_first = format!("?limit=2{status}{range}");
            assert_eq!(follow(&stack.api, "/api/payments", newest_first).await, expected, "{status}{range}");
        }
    }
    let answer = stack.api.get(&format!("/api/payments?userId={USER}")).await;
    assert_eq!(refused(answer, StatusCode::BAD_REQUEST, "userId").await, ["userId"]);
}

#[tokio::test]
async fn a_list_by_status_has_pages_and_a_total_and_other_filters_have_none() {
    let stack = Stack::with().env("PROVIDER_APPROVAL_RATE", "1").start().await;
    let orders = six_orders(&stack).await;
    let page: Page<Order> = stack.api.read("/api/orders?status=PAID&page=2&limit=3&sort=oldest").await;
    assert_eq!((page.meta.total, page.meta.total_pages, page.data.len()), (4, 2, 1));
    assert_eq!(page.data[0].id, orders[5].id);
    let page: Page<Payment> = stack.api.read("/api/payments?status=REFUNDED").await;
    assert_eq!((page.meta.total, page.meta.total_pages, page.data.len()), (2, 1, 2));
    let slice: Slice<Order> = stack.api.read(&format!("/api/orders?userId={USER}&limit=3")).await;
    assert_eq!((slice.meta.limit, slice.data.len()), (3, 3));
    let answer = stack.api.get(&format!("/api/orders?userId={USER}&page=1")).await;
    assert_eq!(refused(answer, StatusCode::BAD_REQUEST, "page").await, ["page"]);
}

#[tokio::test]
async fn an_order_that_is_placed_while_a_list_is_read_moves_nothing_in_it() {
    let stack = Stack::with().env("PROVIDER_APPROVAL_RATE", "1").start().await;
    let before = join_all((0..40).map(|_| stack.api.place("10.01"))).await;
    for id in &before {
        stack.api.order_becomes(*id, OrderStatus::Paid).await;
    }
    let place = async {
        let mut placed = Vec::new();
        for _ in 0..40 {
            placed.push(stack.api.place("10.01").await);
        }
        placed
    };
    let user = format!("?userId={USER}&limit=3");
    let (_, all, of_user) = tokio::join!(
        place,
        follow(&stack.api, "/api/orders", "?limit=3".to_owned()),
        follow(&stack.api, "/api/orders", user),
    );
    for read in [all, of_user] {
        let mut times: HashMap<&String, usize> = HashMap::new();
        for id in &read {
            *times.entry(id).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "an order is listed twice: {read:?}");
        let missing = before.iter().filter(|id| !times.contains_key(&id.to_string())).count();
        assert_eq!(missing, 0, "{read:?}");
    }
}

#[tokio::test]
async fn a_client_finds_its_own_orders_alone_and_an_operator_those_of_all() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = Stack::with()
        .env("PROVIDER_APPROVAL_RATE", "1")
        .gateway_env("API_KEYS_FILE", keys.path())
        .start()
        .await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    let mut orders = Vec::new();
    for client in [&shop, &app, &shop] {
        let id = client.place("10.01").await;
        client.order_becomes(id, OrderStatus::Paid).await;
        orders.push(order(client, id).await);
    }
    let ids = |orders: &[&Order]| orders.iter().map(|order| order.id.to_string()).collect::<Vec<_>>();
    let (of_shop, of_app) = (ids(&[&orders[2], &orders[0]]), ids(&[&orders[1]]));
    let all = ids(&[&orders[2], &orders[1], &orders[0]]);
    for filter in [
        "status=PAID".to_owned(),
        format!("userId={USER}"),
        format!("userId={USER}&status=PAID"),
        format!("createdFrom={}", orders[0].created_at),
    ] {
        for limit in [1, 100] {
            let query = || format!("?{filter}&limit={limit}");
            assert_eq!(follow(&shop, "/api/orders", query()).await, of_shop, "{filter}");
            assert_eq!(follow(&app, "/api/orders", query()).await, of_app, "{filter}");
            assert_eq!(follow(&operator, "/api/orders", query()).await, all, "{filter}");
        }
    }
    let page: Page<Order> = shop.read("/api/orders?status=PAID").await;
    assert_eq!(page.meta.total, 2);
    // To go on behind an order of another client is to go on behind none.
    let behind = app.get(&format!("/api/orders?status=PAID&cursor={}", orders[0].id)).await;
    assert_eq!(refused(behind, StatusCode::BAD_REQUEST, "cursor").await, ["cursor"]);
}

/// An order service that knows no filters: it answers as one of an older version, or of NestJS.
async fn former_order_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let page = r#"{"data":[],"meta":{"page":1,"limit":10,"total":0,"totalPages":0}}"#;
    let answer = warp::any().map(move || warp::reply::with_header(page, "content-type", "application/json"));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(warp::serve(answer).incoming(listener).run());
    format!("http://{address}")
}

#[tokio::test]
async fn a_list_of_a_service_that_passes_filters_over_is_not_taken_for_a_filtered_one() {
    let logs = TempDir::with_prefix("paysaga-logs-").expect("there is room");
    let variables = environment(&[
        ("RABBITMQ_URL", "amqp://127.0.0.1:1"),
        ("ORDER_SERVICE_URL", &former_order_service().await),
    ]);
    let gateway = ServiceProcess::start(Service::Gateway, variables, logs.path()).await;
    let api = Api::new(gateway.url());
    for plain in ["", "?page=2&limit=5", "?sort=newest"] {
        assert_eq!(api.get(&format!("/api/orders{plain}")).await.status(), StatusCode::OK, "{plain}");
    }
    for asked in ["?status=PAID", "?sort=oldest", "?createdFrom=2026-01-01T00:00:00Z"] {
        let answer = api.get(&format!("/api/orders{asked}")).await;
        assert_eq!(problem(answer).await.status, 502, "{asked}");
    }
}
