//! Whose an order is: what belongs to one client does not exist for the others.

use contracts::order::Order;
use contracts::page::Page;
use contracts::payment::{Payment, PaymentStats};
use contracts::{IdempotencyKey, OrderId, OrderStatus, Owner};
use http::{Method, StatusCode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::Stack;
use tests::api::{self, Api, USER, accepted, problem};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};

/// A stack whose gateway knows two clients and an operator.
async fn stack_of_two() -> (Stack, KeyFile) {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let mut stack =
        Stack::with().env("DEFAULT_OWNER", "app").gateway_env("API_KEYS_FILE", keys.path()).start().await;
    stack.api = stack.api.with_key(OPERATOR);
    (stack, keys)
}

fn owner(name: &str) -> Owner {
    name.parse().expect("a name")
}

async fn status(client: &Api, method: &Method, path: &str) -> StatusCode {
    let request = client.request(method.clone(), path).header("content-type", "application/json");
    request.body(r#"{"status":"CANCELLED"}"#).send().await.expect("an answer").status()
}

#[tokio::test]
async fn what_belongs_to_one_client_does_not_exist_for_another() {
    let (stack, _keys) = stack_of_two().await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    let id = shop.place("10.01").await;
    assert_eq!(shop.order_becomes(id, OrderStatus::Paid).await.owner, Some(owner("shop")));
    let payment = shop.payment_of(id).await.expect("a payment");
    assert_eq!(payment.owner, Some(owner("shop")));

    for path in [
        format!("/api/orders/{id}"),
        format!("/api/orders/{id}/events"),
        format!("/api/payments/{}", payment.id),
        format!("/api/payments/order/{id}"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(status(&app, &method, &path).await, StatusCode::NOT_FOUND, "{method} {path}");
            for client in [&shop, &operator] {
                assert_eq!(status(client, &method, &path).await, StatusCode::OK, "{method} {path}");
            }
        }
    }
    // To have orders that it may see changes nothing for a client.
    for own in 0..2 {
        let orders: Page<Order> = app.read("/api/orders").await;
        assert_eq!((orders.meta.total, orders.data.len() as u64), (own, own), "{orders:?}");
        let payments: Page<Payment> = app.read("/api/payments?limit=100").await;
        assert_eq!((payments.meta.total, payments.data.len() as u64), (own, own), "{payments:?}");
        let stats: PaymentStats = app.read("/api/payments/stats").await;
        assert_eq!(stats.by_status.iter().map(|status| status.count).sum::<u64>(), own);
        for path in [format!("/api/orders?cursor={id}"), format!("/api/payments?cursor={}", payment.id)] {
            assert_eq!(problem(app.get(&path).await).await.status, 400, "{path}");
            assert_eq!(shop.get(&path).await.status(), StatusCode::OK, "{path}");
        }
        let all: Page<Order> = operator.read("/api/orders").await;
        assert_eq!(all.meta.total, 1 + own);
        if own == 0 {
            let id = app.place("10.01").await;
            app.order_becomes(id, OrderStatus::Paid).await;
        }
    }
    // The answer is that to a cancellation of an order that does not exist.
    for path in [format!("/api/orders/{id}"), format!("/api/orders/{id}/cancel")] {
        assert_eq!(status(&app, &Method::PATCH, &path).await, StatusCode::ACCEPTED);
    }
    let unknown = OrderId::new();
    app.cancel(unknown).await;
    stack.drain_every_queue().await;
    // That it was cancelled does not tell whether there is one.
    for id in [id, unknown] {
        assert_eq!(
            status(&app, &Method::GET, &format!("/api/orders/{id}/events")).await,
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(shop.order(id).await.expect("an order").status, OrderStatus::Paid);
    let timeline = shop.timeline(id).await;
    assert_eq!(timeline.events.len(), 3, "{timeline:?}");

    operator.cancel(id).await;
    shop.order_becomes(id, OrderStatus::Cancelled).await;
}

#[tokio::test]
async fn an_early_cancellation_counts_only_for_an_order_of_the_same_client() {
    let (stack, _keys) = stack_of_two().await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    for (cancelling, expected) in [
        (vec![&app], OrderStatus::Paid),
        (vec![&app, &shop], OrderStatus::Cancelled),
        (vec![&operator], OrderStatus::Cancelled),
    ] {
        let id = OrderId::new();
        for client in cancelling {
            client.cancel(id).await;
            stack.drain_every_queue().await;
        }
        stack.amqp.place(id, Some(owner("shop"))).await;
        shop.order_becomes(id, expected).await;
        let events = shop.timeline(id).await.events;
        let of_others = events.iter().filter(|event| event.payload["owner"] == "app");
        assert_eq!(of_others.count(), 0, "{events:?}");
    }
}

#[tokio::test]
async fn what_names_no_owner_belongs_to_the_configured_one() {
    let (stack, _keys) = stack_of_two().await;
    let [shop, app] = [SHOP, APP].map(|key| stack.api.with_key(key));
    let id = OrderId::new();
    stack.amqp.place(id, None).await;
    assert_eq!(app.order_becomes(id, OrderStatus::Paid).await.owner, Some(owner("app")));
    assert_eq!(app.payment_of(id).await.expect("a payment").owner, Some(owner("app")));
    assert_eq!(shop.order(id).await, None);
}

#[tokio::test]
async fn the_id_of_a_keyed_order_does_not_follow_from_client_and_key() {
    let (stack, _keys) = stack_of_two().await;
    let shop = stack.api.with_key(SHOP);
    let computed = OrderId::from_idempotency_key(IdempotencyKey { client: "shop", key: "k-1" });
    let place =
        async |total| shop.post_keyed(api::IdempotencyKey("k-1"), total).send().await.expect("an answer");
    let id = accepted(place("10.01").await).await;
    assert_ne!(id, computed);
    assert_eq!(accepted(place("10.01").await).await, id);
}

#[tokio::test]
async fn a_key_from_before_there_was_a_secret_still_means_its_order() {
    let (stack, _keys) = stack_of_two().await;
    let shop = stack.api.with_key(SHOP);
    let id = OrderId::from_idempotency_key(IdempotencyKey { client: "shop", key: "k-1" });
    let former = sqlx::query(
        "INSERT INTO idempotency_keys (order_id, fingerprint) VALUES ($1, encode(sha256($2), 'hex'))",
    );
    let fingerprint = format!("{USER}\n10.01");
    former.bind(id).bind(fingerprint.as_bytes()).execute(&stack.order_database).await.expect("it is stored");
    let place =
        async |total| shop.post_keyed(api::IdempotencyKey("k-1"), total).send().await.expect("an answer");
    assert_eq!(accepted(place("10.01").await).await, id);
    assert_eq!(problem(place("10.02").await).await.status, 422);
}

#[tokio::test]
async fn a_connection_for_a_client_sees_its_rows_alone_whatever_is_asked() {
    let (stack, _keys) = stack_of_two().await;
    for key in [SHOP, APP] {
        let client = stack.api.with_key(key);
        let id = client.place("10.01").await;
        client.order_becomes(id, OrderStatus::Paid).await;
    }
    for (service, tables) in
        [(&stack.order, ["orders", "order_events"].as_slice()), (&stack.payment, ["payments"].as_slice())]
    {
        let url = &service.environment()["DATABASE_URL"];
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        for table in tables {
            let statement =
                format!("SELECT coalesce(string_agg(DISTINCT owner, ' ' ORDER BY owner), '') FROM {table}");
            let mut owners = async |owner| {
                let told = sqlx::query("SELECT set_config('paysaga.owners', $1, false)").bind(owner);
                told.execute(&mut connection).await.expect("it is set");
                let seen = sqlx::query_scalar::<_, String>(AssertSqlSafe(statement.clone()));
                seen.fetch_one(&mut connection).await.expect("the database answers")
            };
            for (owner, seen) in
                [("shop", "shop"), ("app", "app"), ("other", ""), (":", ""), ("%", "app shop")]
            {
                assert_eq!(owners(owner).await, seen, "{table} of {owner}");
            }
        }
    }
}
