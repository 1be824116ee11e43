//! Access: API keys, and web pages of other origins.

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;

use contracts::order::CreateOrderAccepted;
use http::{Method, StatusCode};
use reqwest::Response;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tests::api::{UNKNOWN_ID, header, order, problem};
use tests::{Stack, eventually};

/// Keys and their digests (`printf key-of-shop | sha256sum`).
const SHOP: (&str, &str) =
    ("key-of-shop", "shop:625ec9a8bfc54cc62de07d58b187d9e967e1fbcaa61cf9acd03ce7995c261a8d");
const APP: (&str, &str) =
    ("key-of-app", "app:ea15307d5014284174761b842f9352a857a93a3b2df3f23b69ac21d8b24ee805");

#[tokio::test]
async fn only_callers_with_a_key_are_served() {
    let keys = KeyFile::with(&[SHOP.1, APP.1]);
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
    ] {
        let request = || stack.api.request(method.clone(), &path).body(order("10.01"));
        for authorization in [
            None,
            Some("Bearer wrong".to_owned()),
            Some(format!("Basic {}", SHOP.0)),
            Some(SHOP.0.to_owned()),
            Some("Bearer ".to_owned()),
            // The digest in the file is not a credential.
            Some(format!("Bearer {}", &SHOP.1["shop:".len()..])),
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
    let (shop, app) = (placed(&stack, SHOP.0, None).await, placed(&stack, APP.0, None).await);
    assert_eq!((shop.status(), app.status()), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    let list = stack.api.request(Method::GET, "/api/orders").bearer_auth(SHOP.0).send().await;
    assert_eq!(list.expect("an answer").status(), StatusCode::OK);
    for open in ["/health/live", "/health/ready", "/api/metrics"] {
        assert_eq!(stack.api.get(open).await.status(), StatusCode::OK, "{open} is open to this machine");
    }
    let log = stack.gateway.log();
    assert!(!log.contains(SHOP.0) && !log.contains(APP.0), "a key is in the log");
}

#[tokio::test]
async fn two_callers_do_not_share_idempotency_keys() {
    let keys = KeyFile::with(&[SHOP.1, APP.1]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let mut ids = Vec::new();
    for key in [SHOP.0, APP.0, SHOP.0, APP.0] {
        let response = placed(&stack, key, Some("k-1")).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        ids.push(response.json::<CreateOrderAccepted>().await.expect("JSON").order_id);
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[..2], ids[2..]);
}

#[tokio::test]
async fn a_key_is_revoked_and_added_by_editing_the_file() {
    let keys = KeyFile::with(&[SHOP.1]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    assert_eq!(placed(&stack, APP.0, None).await.status(), StatusCode::UNAUTHORIZED);

    keys.write(&["# shop left", APP.1]);
    stack.gateway.signal(Signal::HUP);
    eventually("the new key is known", async || match placed(&stack, APP.0, None).await.status() {
        StatusCode::ACCEPTED => Ok(()),
        status => Err(status),
    })
    .await;
    assert_eq!(placed(&stack, SHOP.0, None).await.status(), StatusCode::UNAUTHORIZED);

    // A file with a mistake changes nothing, and the log names the mistake without the line.
    keys.write(&[APP.1, "shop:plain-text-key"]);
    stack.gateway.signal(Signal::HUP);
    eventually("the mistake is in the log", async || {
        if stack.gateway.log().contains("the API keys can't be reloaded") { Ok(()) } else { Err("it is not") }
    })
    .await;
    assert!(!stack.gateway.log().contains("plain-text-key"));
    assert_eq!(placed(&stack, APP.0, None).await.status(), StatusCode::ACCEPTED);
    assert_eq!(placed(&stack, SHOP.0, None).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn health_and_metrics_are_closed_to_the_network() {
    let address = address_on_the_network().expect(
        "this machine has no address but loopback; leave this test out: -- --skip closed_to_the_network",
    );
    let keys = KeyFile::with(&[SHOP.1]);
    let stack = Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("LISTEN_ADDRESS", "0.0.0.0")
        .start()
        .await;
    let port = stack.gateway.address().port();
    for path in ["/health/live", "/health/ready", "/api/metrics"] {
        let url = format!("http://{address}:{port}{path}");
        assert_eq!(problem(reqwest::get(&url).await.expect("an answer")).await.status, 401, "{path}");
        let request = reqwest::Client::new().get(&url).bearer_auth(SHOP.0).send().await;
        assert_eq!(request.expect("an answer").status(), StatusCode::OK, "{path}");
        let here = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.expect("an answer");
        assert_eq!(here.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn pages_of_an_allowed_origin_may_call_and_others_may_not() {
    let shop = "https://shop.example";
    let keys = KeyFile::with(&[SHOP.1]);
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
    let response = get(shop, SHOP.0).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "access-control-allow-origin"), shop);
    assert!(header(&response, "access-control-expose-headers").contains("x-correlation-id"));
    // The page must be able to read why it was refused.
    let response = get(shop, "wrong").await.expect("an answer");
    assert_eq!(header(&response, "access-control-allow-origin"), shop);
    assert_eq!(problem(response).await.status, 401);
    let response = get("https://foreign.example", SHOP.0).await.expect("an answer");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    // A request without an origin does not come from a web page.
    let plain = stack.api.request(Method::GET, "/api/orders").bearer_auth(SHOP.0).send().await;
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

/// A file of API keys.
struct KeyFile(TempDir);

impl KeyFile {
    fn with(lines: &[&str]) -> Self {
        let file = Self(TempDir::with_prefix("paysaga-keys-").expect("there is room for a file"));
        file.write(lines);
        file
    }

    fn write(&self, lines: &[&str]) {
        std::fs::write(self.file(), lines.join("\n")).expect("the file can be written");
    }

    fn path(&self) -> String {
        self.file().to_str().expect("a path of text").to_owned()
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("keys")
    }
}
