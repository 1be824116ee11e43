//! Fair shares: what one caller or one address uses up is no other's.

use contracts::order::Order;
use contracts::page::Page;
use http::{Method, StatusCode};
use reqwest::Response;
use tests::api::{Api, header, order, problem};
use tests::api_keys::{APP, KeyFile, OPERATOR, SHOP};
use tests::raw_http::rest;
use tests::stack::StackBuilder;
use tests::{Stack, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The settings of a gateway that knows two clients and an operator.
fn with(keys: &KeyFile) -> StackBuilder {
    Stack::with().gateway_env("API_KEYS_FILE", keys.path())
}

async fn list(client: &Api) -> Response {
    client.get("/api/orders?limit=1").await
}

#[tokio::test]
async fn a_caller_that_sends_too_much_is_refused_and_the_others_are_not() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let stack = with(&keys).gateway_env("RATE_LIMIT", "5").start().await;
    let [shop, app, operator] = [SHOP, APP, OPERATOR].map(|key| stack.api.with_key(key));
    let first = list(&shop).await;
    assert_eq!(header(&first, "ratelimit-policy"), r#""caller";q=5;w=1"#);
    assert!(header(&first, "ratelimit").starts_with(r#""caller";r=4;"#));
    let mut refused = Vec::new();
    for _ in 0..20 {
        let answer = list(&shop).await;
        if answer.status() != StatusCode::OK {
            refused.push(answer);
        }
    }
    assert!(refused.len() > 5, "{} were refused", refused.len());
    for answer in refused {
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            (header(&answer, "retry-after"), header(&answer, "ratelimit").contains("r=0")),
            ("1".into(), true)
        );
        assert!(problem(answer).await.detail.contains("its rate allows"));
    }
    assert_eq!(list(&app).await.status(), StatusCode::OK);
    // Operators have no limits, and are told of none.
    for _ in 0..20 {
        let answer = list(&operator).await;
        assert_eq!((answer.status(), answer.headers().get("ratelimit")), (StatusCode::OK, None));
    }
    // It is served again after a while.
    eventually("the caller is served", async || match list(&shop).await.status() {
        StatusCode::OK => Ok(()),
        status => Err(status),
    })
    .await;
}

#[tokio::test]
async fn a_key_may_have_a_rate_of_its_own() {
    let keys = KeyFile::of(&[]);
    keys.write(&[SHOP.with("rate=2"), APP.line.to_owned()]);
    let stack = with(&keys).start().await;
    let [shop, app] = [SHOP, APP].map(|key| stack.api.with_key(key));
    assert_eq!(header(&list(&shop).await, "ratelimit-policy"), r#""caller";q=2;w=1"#);
    assert_eq!(header(&list(&app).await, "ratelimit-policy"), r#""caller";q=500;w=1"#);
}

#[tokio::test]
async fn a_caller_has_so_many_requests_under_way_at_most() {
    let keys = KeyFile::of(&[SHOP, APP, OPERATOR]);
    let mut stack = with(&keys).gateway_env("CONCURRENCY_LIMIT", "2").start().await;
    stack.api = stack.api.with_key(OPERATOR);
    let held = stack.block_provider().await;
    let [shop, app] = [SHOP, APP].map(|key| stack.api.with_key(key));
    let waiting = || shop.post_order(order("10.01")).header("prefer", "wait=30").send();
    let beside = async {
        eventually("both wait", async || {
            let orders: Page<Order> = stack.api.read("/api/orders").await;
            if orders.meta.total == 2 { Ok(()) } else { Err(orders.meta.total) }
        })
        .await;
        let refused = problem(list(&shop).await).await;
        assert!(refused.detail.contains("under way"), "{refused:?}");
        assert_eq!(list(&app).await.status(), StatusCode::OK);
        drop(held);
    };
    let (one, other, ()) = tokio::join!(waiting(), waiting(), beside);
    for answer in [one, other] {
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_its_clients_and_no_one_else_is() {
    let keys = KeyFile::of(&[]);
    keys.write(&[SHOP.with("from=192.0.2.0/24")]);
    let status = async |stack: &Stack, forwarded: Option<&str>| {
        let request = stack.api.with_key(SHOP).request(Method::GET, "/api/orders");
        let request = match forwarded {
            Some(forwarded) => request.header("x-forwarded-for", forwarded),
            None => request,
        };
        request.send().await.expect("an answer").status()
    };
    let stack = with(&keys).gateway_env("TRUSTED_PROXIES", "127.0.0.1").start().await;
    assert_eq!(status(&stack, Some("192.0.2.7")).await, StatusCode::OK);
    for wrong in [None, Some("198.51.100.7"), Some("192.0.2.7, 198.51.100.7")] {
        assert_eq!(status(&stack, wrong).await, StatusCode::FORBIDDEN, "{wrong:?}");
    }
    let stack = with(&keys).start().await;
    assert_eq!(status(&stack, Some("192.0.2.7")).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_address_has_so_many_connections_at_most() {
    let keys = KeyFile::of(&[SHOP]);
    let most = 4;
    let stack = with(&keys).gateway_env("MAX_CONNECTIONS_PER_ADDRESS", most.to_string()).start().await;
    let address = stack.gateway.address();
    let mut open = Vec::new();
    for _ in 0..most {
        let mut connection = TcpStream::connect(address).await.expect("it listens");
        // A part of a request, so that it is known to have been accepted.
        connection.write_all(b"GET / HTTP/1.1\r\n").await.expect("it takes it");
        open.push(connection);
    }
    let one_more = async || {
        let mut connection = TcpStream::connect(address).await.expect("it listens");
        connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.ok();
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    };
    eventually("one more is closed", async || match one_more().await {
        answer if answer.is_empty() => Ok(()),
        answer => Err(answer),
    })
    .await;
    let mut left = open.pop().expect("there is one");
    left.write_all(b"Host: x\r\nConnection: close\r\n\r\n").await.expect("it takes the rest");
    assert!(rest(left).await.starts_with("HTTP/1.1 401"), "those that are open are served");
    eventually("one more is served", async || match one_more().await {
        answer if answer.starts_with("HTTP/1.1 401") => Ok(()),
        answer => Err(answer),
    })
    .await;
}
