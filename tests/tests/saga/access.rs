//! Access: API keys, and web pages of other origins.

use std::io::Write as _;
use std::net::{IpAddr, UdpSocket};

use contracts::order::CreateOrderAccepted;
use http::{Method, StatusCode};
use reqwest::Response;
use serde_json::{Value, json};
use tests::api::{UNKNOWN_ID, header, order, problem};
use tests::api_keys::{APP, KeyFile, SHOP};
use tests::programs::environment;
use tests::{Stack, eventually};

#[tokio::test]
async fn only_callers_with_a_key_are_served() {
    let keys = KeyFile::of(&[SHOP, APP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    for (method, path) in [
        (Method::GET, "/api/orders".to_owned()),
        (Method::POST, "/api/orders".to_owned()),
        (Method::GET, format!("/api/orders/{UNKNOWN_ID}")),
        (Method::PATCH, format!("/api/orders/{UNKNOWN_ID}/cancel")),
        (Method::GET, "/api/payments/stats".to_owned()),
        // Unknown callers do not learn which paths exist.
        (Method::GET, "/api/nothing".to_owned()),
        (Method::DELETE, "/api/orders".to_owned()),
        (Method::GET, "/api/metrics".to_owned()),
        (Method::GET, "/metrics".to_owned()),
        (Method::GET, "/health/ready".to_owned()),
    ] {
        let request = || stack.api.request(method.clone(), &path).body(order("10.01"));
        for authorization in [
            None,
            Some("Bearer wrong".to_owned()),
            Some(format!("Basic {}", SHOP.secret)),
            Some(SHOP.secret.to_owned()),
            Some("Bearer ".to_owned()),
            // The digest in the file is not a credential.
            Some(format!("Bearer {}", &SHOP.line["shop:".len()..])),
        ] {
            let request = match &authorization {
                Some(authorization) => request().header("authorization", authorization),
                None => request(),
            };
            let response = request.header("x-correlation-id", "c-1").send().await.expect("an answer");
            assert_eq!(header(&response, "x-correlation-id"), "c-1");
            assert_eq!(header(&response, "www-authenticate"), "Bearer", "{method} {path} {authorization:?}");
            assert_eq!(problem(response).await.status, 401, "{method} {path} {authorization:?}");
        }
    }
    let (shop, app) = (placed(&stack, SHOP.secret, None).await, placed(&stack, APP.secret, None).await);
    assert_eq!((shop.status(), app.status()), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    let list = stack.api.request(Method::GET, "/api/orders").bearer_auth(SHOP.secret).send().await;
    assert_eq!(list.expect("an answer").status(), StatusCode::OK);
    let log = stack.gateway.log();
    assert!(!log.contains(SHOP.secret) && !log.contains(APP.secret), "a key is in the log");
}

#[tokio::test]
async fn two_callers_do_not_share_idempotency_keys() {
    let keys = KeyFile::of(&[SHOP, APP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let mut ids = Vec::new();
    for (key, is_repeated) in [(SHOP, false), (APP, false), (SHOP, true), (APP, true)] {
        let response = placed(&stack, key.secret, Some("k-1")).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers().contains_key("idempotency-replayed"), is_repeated);
        ids.push(response.json::<CreateOrderAccepted>().await.expect("JSON").order_id);
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[..2], ids[2..]);
}

#[tokio::test]
async fn a_key_is_revoked_and_added_by_editing_the_file() {
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    assert_eq!(placed(&stack, APP.secret, None).await.status(), StatusCode::UNAUTHORIZED);

    keys.write(&["# shop left", APP.line]);
    accepted_becomes(&stack, APP.secret, true).await;
    assert_eq!(placed(&stack, SHOP.secret, None).await.status(), StatusCode::UNAUTHORIZED);

    // A file with a mistake changes nothing, and the log names the mistake without the line.
    keys.write(&[APP.line, "shop:plain-text-key"]);
    eventually("the mistake is in the log", async || {
        let log = stack.gateway.log();
        if log.contains("the API keys can't be read again") { Ok(()) } else { Err("it is not") }
    })
    .await;
    assert!(!stack.gateway.log().contains("plain-text-key"));
    assert_eq!(placed(&stack, APP.secret, None).await.status(), StatusCode::ACCEPTED);
    assert_eq!(placed(&stack, SHOP.secret, None).await.status(), StatusCode::UNAUTHORIZED);

    // An empty one lets no caller in.
    keys.write(&[""]);
    accepted_becomes(&stack, APP.secret, false).await;
}

#[tokio::test]
async fn a_key_allows_what_its_scopes_say() {
    let keys = KeyFile::of(&[]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let order = format!("/api/orders/{UNKNOWN_ID}");
    let of_order = |end: &str| format!("{order}{end}");
    let routes = [
        ("orders:write", Method::POST, "/api/orders".to_owned()),
        ("orders:write", Method::PATCH, order.clone()),
        ("orders:write", Method::PATCH, of_order("/cancel")),
        ("orders:read", Method::GET, "/api/orders".to_owned()),
        ("orders:read", Method::GET, order.clone()),
        ("orders:read", Method::HEAD, order.clone()),
        ("orders:read", Method::GET, of_order("/events")),
        ("payments:read", Method::GET, "/api/payments".to_owned()),
        ("payments:read", Method::GET, format!("/api/payments/{UNKNOWN_ID}")),
        ("payments:read", Method::GET, format!("/api/payments/order/{UNKNOWN_ID}")),
        ("statistics", Method::GET, "/api/payments/stats".to_owned()),
        ("admin:read", Method::GET, "/api/metrics".to_owned()),
        ("admin:read", Method::GET, "/api/admin/order/failed-messages".to_owned()),
        ("admin:read", Method::GET, "/api/admin/payment/refunds".to_owned()),
        ("admin:read", Method::GET, "/api/admin/books".to_owned()),
        ("admin:write", Method::POST, "/api/admin/books/pass".to_owned()),
        ("admin:write", Method::POST, "/api/admin/payment/failed-messages/replay".to_owned()),
        ("admin:write", Method::DELETE, format!("/api/admin/order/failed-messages/{UNKNOWN_ID}")),
        ("admin:write", Method::POST, format!("/api/admin/payment/refunds/{UNKNOWN_ID}/retry")),
    ];
    for scope in ["orders:write", "orders:read", "payments:read", "statistics", "admin:read", "admin:write"] {
        keys.write(&[SHOP.with(&format!("scopes={scope}")), APP.with("scopes=statistics")]);
        let status = async |method: &Method, path: &str| {
            let request = stack.api.request(method.clone(), path).bearer_auth(SHOP.secret).body("{}");
            request.send().await.expect("an answer").status()
        };
        let (_, method, path) = routes.iter().find(|(of, ..)| *of == scope).expect("a route has it");
        eventually(&format!("the scope {scope} is in force"), async || match status(method, path).await {
            refused @ (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => Err(refused),
            _ => Ok(()),
        })
        .await;
        for (of, method, path) in &routes {
            let refused = status(method, path).await == StatusCode::FORBIDDEN;
            assert_eq!(refused, *of != scope, "{method} {path} with the scope {scope}");
        }
    }
}

#[tokio::test]
async fn a_key_is_valid_for_its_time_and_its_networks() {
    let keys = KeyFile::of(&[]);
    keys.write(&[SHOP.with("expires=2020-01-01T00:00:00Z"), APP.with("from=192.0.2.0/24")]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let expired = problem(placed(&stack, SHOP.secret, None).await).await;
    assert_eq!((expired.status, expired.detail.as_str()), (401, "This API key has expired."));
    let elsewhere = problem(placed(&stack, APP.secret, None).await).await;
    assert_eq!(elsewhere.status, 403, "{elsewhere:?}");
    let half = problem(placed(&stack, "psk_live_0123", None).await).await;
    assert_eq!((half.status, half.detail.contains("checksum")), (401, true), "{half:?}");
    keys.write(&[APP.with("from=127.0.0.0/8")]);
    accepted_becomes(&stack, APP.secret, true).await;
}

#[tokio::test]
async fn keys_are_made_rolled_and_revoked_by_the_operators_command() {
    let keys = KeyFile::of(&[]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let environment = environment(&[("API_KEYS_FILE", &keys.path())]);
    let key = async |arguments: &[&str]| {
        let ran = stack.paysaga_with(&[&["key"], arguments].concat(), environment.clone()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout.trim_end().to_owned()
    };
    let listed = async || {
        let listed: Vec<Value> = serde_json::from_str(&key(&["list", "--json"]).await).expect("JSON");
        listed
    };
    let first = key(&["new", "shop", "--scopes", "orders:write", "--expires-in", "90d"]).await;
    assert!(first.starts_with("psk_live_"), "{first}");
    accepted_becomes(&stack, &first, true).await;

    let known = listed().await.remove(0);
    assert_eq!((&known["caller"], &known["scopes"]), (&json!("shop"), &json!(["orders:write"])));
    let id = known["id"].as_str().expect("an id");
    let second = key(&["roll", id, "--overlap", "1h"]).await;
    accepted_becomes(&stack, &second, true).await;
    assert_eq!(placed(&stack, &first, None).await.status(), StatusCode::ACCEPTED, "both are valid meanwhile");
    let both = listed().await;
    assert_eq!(both[1]["scopes"], known["scopes"], "the new one allows the same");
    let expires = |key: &Value| key["expires"].as_str().expect("it expires").to_owned();
    assert!(expires(&both[0]) < expires(&known) && expires(&both[1]) >= expires(&known), "{both:?}");

    let operator = key(&["new", "operator", "--scopes", "admin:read"]).await;
    let mut with_key = environment.clone();
    let file = tempfile::NamedTempFile::new().expect("there is room");
    std::fs::write(file.path(), &operator).expect("it can be written");
    with_key.insert("PAYSAGA_API_KEY_FILE".to_owned(), file.path().display().to_string());
    eventually("the gateway knows the new key, and when the first one was used", async || {
        let listed = stack.paysaga_with(&["key", "list", "--json", "--last-used"], with_key.clone()).await;
        let keys: Vec<Value> = serde_json::from_str(&listed.stdout).map_err(|_| listed.stderr)?;
        let used = keys.iter().find(|key| key["id"] == id).and_then(|key| key["last_used"].as_str());
        let year = used.and_then(|time| time.get(..4)).and_then(|year| year.parse::<u16>().ok());
        if year.is_some_and(|year| year >= 2026) { Ok(()) } else { Err(format!("{keys:?}")) }
    })
    .await;

    key(&["revoke", id]).await;
    accepted_becomes(&stack, &first, false).await;
    assert_eq!(placed(&stack, &second, None).await.status(), StatusCode::ACCEPTED);
    key(&["revoke", "--caller", "shop"]).await;
    accepted_becomes(&stack, &second, false).await;
    let file = std::fs::read_to_string(keys.path()).expect("the file is there");
    assert!(!file.contains(&first) && !file.contains(&second), "{file}");
    let unknown = stack.paysaga_with(&["key", "revoke", id], environment.clone()).await;
    assert!(unknown.stderr.contains("there is no such key"), "{unknown:?}");
}

#[tokio::test]
async fn health_and_metrics_are_not_for_clients_and_are_closed_to_the_network() {
    let Some(address) = address_on_the_network() else {
        // Not by eprintln!, which the test runner keeps to itself.
        let skipped = "SKIPPED: what the network reaches. That needs an address which is not loopback.";
        writeln!(std::io::stderr(), "{skipped}").expect("it can be written");
        return;
    };
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("LISTEN_ADDRESS", "0.0.0.0")
        .gateway_env("ALLOW_PLAINTEXT", "http")
        .start()
        .await;
    let port = stack.gateway.address().port();
    // An operator's key reads the gateway's metrics; a client's reads none.
    for (path, status) in
        [("/health/live", 404), ("/health/ready", 404), ("/metrics", 404), ("/api/metrics", 403)]
    {
        let request = reqwest::Client::new().get(format!("http://{address}:{port}{path}"));
        let answer = request.bearer_auth(SHOP.secret).send().await.expect("an answer");
        assert_eq!(problem(answer).await.status, status, "{path}");
    }
    let port = stack.gateway.management_address().port();
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let here = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.expect("an answer");
        assert_eq!(here.status(), StatusCode::OK, "{path}");
        let there = reqwest::get(format!("http://{address}:{port}{path}")).await;
        assert!(there.is_err_and(|error| error.is_connect()), "{path} of another host");
    }
}

#[tokio::test]
async fn pages_of_an_allowed_origin_may_call_and_others_may_not() {
    let shop = "https://shop.example";
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("CORS_ORIGINS", format!("http://localhost:8080,{shop}"))
        .start()
        .await;
    let preflight = |origin: &str, method: &str, headers: &str| {
        let request = stack.api.request(Method::OPTIONS, "/api/orders").header("origin", origin);
        let request = request.header("access-control-request-method", method);
        request.header("access-control-request-headers", headers).send()
    };
    // A browser sends no key with a preflight.
    let headers = "authorization,content-type,idempotency-key,prefer,traceparent,x-correlation-id";
    for method in ["POST", "GET", "PATCH"] {
        let response = preflight(shop, method, headers).await.expect("an answer");
        assert!(response.status().is_success(), "{method}: {}", response.status());
        assert_eq!(header(&response, "access-control-allow-origin"), shop);
        assert!(header(&response, "access-control-allow-methods").contains(method));
        let allowed = header(&response, "access-control-allow-headers");
        for name in headers.split(',') {
            assert!(allowed.contains(name), "{name} in {allowed}");
        }
    }
    for (origin, method, headers) in [
        ("https://foreign.example", "POST", "content-type"),
        ("https://shop.example.evil.example", "POST", "content-type"),
        (shop, "PUT", "content-type"),
        (shop, "POST", "x-secret"),
    ] {
        let response = preflight(origin, method, headers).await.expect("an answer");
        assert!(
            !response.headers().contains_key("access-control-allow-origin"),
            "{origin} {method} {headers}"
        );
        assert_eq!(problem(response).await.status, 403, "{origin} {method} {headers}");
    }

    let get = |origin: &str, key: &str| {
        let request = stack.api.request(Method::GET, "/api/orders").header("origin", origin);
        request.bearer_auth(key).send()
    };
    let response = get(shop, SHOP.secret).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "access-control-allow-origin"), shop);
    assert!(header(&response, "access-control-expose-headers").contains("x-correlation-id"));
    // The page must be able to read why it was refused.
    let response = get(shop, "wrong").await.expect("an answer");
    assert_eq!(header(&response, "access-control-allow-origin"), shop);
    assert_eq!(problem(response).await.status, 401);
    let response = get("https://foreign.example", SHOP.secret).await.expect("an answer");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    // A request without an origin does not come from a web page.
    let plain = stack.api.request(Method::GET, "/api/orders").bearer_auth(SHOP.secret).send().await;
    assert_eq!(plain.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn without_origins_no_page_may_call() {
    let stack = Stack::start().await;
    let request = stack.api.request(Method::GET, "/api/orders").header("origin", "https://shop.example");
    let response = request.send().await.expect("an answer");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    let list: Value = response.json().await.expect("JSON");
    assert_eq!(list["meta"]["total"], 0);
}

/// Waits until a key is accepted, or is not.
async fn accepted_becomes(stack: &Stack, key: &str, accepted: bool) {
    let expected = if accepted { StatusCode::ACCEPTED } else { StatusCode::UNAUTHORIZED };
    eventually("the keys are read again", async || match placed(stack, key, None).await.status() {
        status if status == expected => Ok(()),
        status => Err(status),
    })
    .await;
}

async fn placed(stack: &Stack, key: &str, idempotency_key: Option<&str>) -> Response {
    let request = stack.api.post_order(order("10.01")).bearer_auth(key);
    let request = match idempotency_key {
        Some(idempotency_key) => request.header("idempotency-key", idempotency_key),
        None => request,
    };
    request.send().await.expect("an answer")
}

/// An address of this machine on the network, if it has one.
fn address_on_the_network() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Connecting a UDP socket sends nothing: the kernel picks the source address. RFC 5737 reserves the destination for
    // documentation.
    socket.connect("203.0.113.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}
