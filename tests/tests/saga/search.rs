//! Operators find an order by whatever id they have of it.

use contracts::search::{FoundBy, FoundOrder, SearchResults};
use contracts::{IdempotencyKey, OrderId, OrderStatus, PaymentId};
use http::StatusCode;
use reqwest::Url;
use sqlx::{Connection, PgConnection};
use tests::Stack;
use tests::api::{USER, accepted, header, order, refused};
use tests::service::{SERVICE_TOKEN, ServiceProcess};

async fn search(service: &ServiceProcess, text: &str) -> Vec<FoundOrder> {
    let url = Url::parse_with_params("http://order/search", [("q", text)]).expect("a URL");
    let path = format!("/search?{}", url.query().expect("it has a query"));
    service.read::<SearchResults>(&path).await.orders
}

#[tokio::test]
async fn an_order_is_found_by_each_id_that_belongs_to_it() {
    let stack = Stack::start().await;
    let another = stack.api.place("10.01").await;
    let request = stack.api.post_order(order("10.01")).header("idempotency-key", "\"cart 17\"");
    let response = request.header("x-correlation-id", "shop-4711").send().await.expect("an answer");
    let traceparent = header(&response, "traceparent");
    let trace_id = traceparent.split('-').nth(1).expect("it names a trace").to_owned();
    let order_id = accepted(response).await;
    for id in [another, order_id] {
        stack.api.order_becomes(id, OrderStatus::Paid).await;
    }
    let payment = stack.api.payment_of(order_id).await.expect("it is paid");
    let transaction = payment.transaction_id.expect("it is approved");
    let events = stack.api.timeline(order_id).await.events;
    let (first, last) = (events[0].event_id.to_string(), events[events.len() - 1].event_id.to_string());
    let id = order_id.to_string();
    for (service, text, by) in [
        (&stack.order, &*id, FoundBy::OrderId),
        (&stack.payment, &id, FoundBy::OrderId),
        (&stack.payment, &PaymentId::of_order(order_id).to_string(), FoundBy::PaymentId),
        (&stack.payment, &transaction, FoundBy::TransactionId),
        (&stack.order, "shop-4711", FoundBy::CorrelationId),
        (&stack.order, " shop-4711\n", FoundBy::CorrelationId),
        (&stack.order, &first, FoundBy::EventId),
        (&stack.order, &last, FoundBy::EventId),
        (&stack.order, &trace_id, FoundBy::TraceId),
        (&stack.order, &trace_id.to_uppercase(), FoundBy::TraceId),
        (&stack.order, "cart 17", FoundBy::IdempotencyKey),
        (&stack.order, "\"cart 17\"", FoundBy::IdempotencyKey),
    ] {
        assert_eq!(search(service, text).await, [FoundOrder { order_id, by }], "{text}");
    }
    for nothing in ["shop-4712", "cart 18", &OrderId::new().to_string(), &"0".repeat(32), "%"] {
        assert_eq!(search(&stack.order, nothing).await, [], "{nothing}");
        assert_eq!(search(&stack.payment, nothing).await, [], "{nothing}");
    }
}

#[tokio::test]
async fn an_order_is_found_by_its_key_whoever_placed_it_and_however_its_id_was_derived() {
    let stack = Stack::start().await;
    let formerly = OrderId::from_idempotency_key(IdempotencyKey { client: "shop", key: "cart-1" });
    stack.amqp.place(formerly, Some("shop".parse().expect("a name"))).await;
    stack.api.order_becomes(formerly, OrderStatus::Paid).await;
    let found = search(&stack.order, "cart-1").await;
    assert_eq!(found, [FoundOrder { order_id: formerly, by: FoundBy::IdempotencyKey }]);
}

#[tokio::test]
async fn of_many_orders_with_one_correlation_id_the_latest_are_found() {
    let stack = Stack::start().await;
    sqlx::query(
        "INSERT INTO orders (id, user_id, total, status, correlation_id, trace_context, created_at)
         SELECT lpad(n::text, 32, '0')::uuid, $1::uuid, 1, 'PAID', 'nightly', '{}', now() + n * interval '1 second'
         FROM generate_series(1, 50) AS n ORDER BY n % 7",
    )
    .bind(USER)
    .execute(&stack.order_database)
    .await
    .expect("the database answers");
    let found = search(&stack.order, "nightly").await;
    let latest: Vec<String> = (31..=50).rev().map(|n| format!("00000000-0000-0000-0000-{n:012}")).collect();
    assert_eq!(found.iter().map(|order| order.order_id.to_string()).collect::<Vec<_>>(), latest);
}

#[tokio::test]
async fn the_providers_reference_may_be_long_and_is_found_by_its_index() {
    let stack = Stack::start().await;
    let order = stack.api.place("10.01").await;
    stack.api.order_becomes(order, OrderStatus::Paid).await;
    // Ten kilobytes that no compression makes an entry of a btree of.
    sqlx::query(
        "UPDATE payments SET transaction_id = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 320) AS n)",
    )
    .execute(&stack.payment_database)
    .await
    .expect("it is stored");
    let url = &stack.payment.environment()["DATABASE_URL"];
    let mut service = PgConnection::connect(url).await.expect("a connection");
    sqlx::query("SET enable_seqscan = off").execute(&mut service).await.expect("the database answers");
    let plan = sqlx::query_scalar::<_, String>(
        "EXPLAIN SELECT order_id FROM payments WHERE transaction_id = 'sim_1' LIMIT 20",
    );
    let plan = plan.fetch_all(&mut service).await.expect("the database answers").join("\n");
    assert!(plan.contains("payments_of_transaction"), "{plan}");
    assert!(plan.contains("paysaga.owners"), "row-level security is on: {plan}");
}

#[tokio::test]
async fn what_can_be_no_id_is_refused() {
    let stack = Stack::start().await;
    for service in [&stack.order, &stack.payment] {
        for query in ["", "q=", "q=%20", "q=a%00b", &format!("q={}", "x".repeat(258))] {
            let request = reqwest::Client::new().get(format!("{}/search?{query}", service.url()));
            let response = request.bearer_auth(SERVICE_TOKEN).send().await.expect("an answer");
            assert_eq!(refused(response, StatusCode::BAD_REQUEST, query).await, ["q"]);
        }
    }
}
