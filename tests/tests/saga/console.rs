//! The operator's console, as a browser without scripts sees it: who may open it, what its pages say, and what they do.

use contracts::topology::Queue;
use contracts::{EventType, OrderId, OrderStatus, PaymentId};
use http::{StatusCode, header};
use lapin::BasicProperties;
use tests::api::UNKNOWN_ID;
use tests::api_keys::{APP, Key, KeyFile, OPERATOR, SHOP};
use tests::console::Visitor;
use tests::stack::StackBuilder;
use tests::{Stack, eventually};

use crate::audit_records::stored;

/// Shows everything, and may do nothing.
const VIEWER: Key = APP;

fn keys() -> KeyFile {
    let keys = KeyFile::of(&[]);
    keys.write(&[SHOP.line, OPERATOR.line, &VIEWER.with("scopes=orders:read,payments:read,admin:read")]);
    keys
}

fn with(keys: &KeyFile) -> StackBuilder {
    Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("ENVIRONMENT_NAME", "staging of the tests")
        .gateway_env("ENVIRONMENT_COLOUR", "orange")
        // What other pages may do has nothing to do with the console's own.
        .gateway_env("CORS_ORIGINS", "https://shop.example")
}

/// An order that a shop placed.
async fn place(stack: &Stack, total: &str) -> OrderId {
    let placed = stack.api.post_order(tests::api::order(total)).bearer_auth(SHOP.secret).send().await;
    tests::api::accepted(placed.expect("an answer")).await
}

/// The pages, those of one order and of one failed message among them.
fn pages(order: OrderId, message: &str) -> Vec<String> {
    let mut pages: Vec<_> = [
        "",
        "/search?q=x",
        "/orders",
        "/orders?status=PAID&sort=oldest",
        "/failed",
        "/failed/order",
        "/failed/payment",
        "/replays",
        "/replays/payment/new",
        "/refunds",
        "/books",
        "/audit",
    ]
    .map(|path| format!("/console{path}"))
    .into();
    pages.push(format!("/console/orders/{order}"));
    pages.push(format!("/console/failed/payment/{message}"));
    pages
}

/// Every action there is, on an order and a failed message.
fn actions(order: OrderId, message: &str) -> Vec<String> {
    let payment = PaymentId::of_order(order);
    [
        format!("orders/{order}/cancel"),
        format!("orders/{order}/ask-now"),
        format!("failed/payment/{message}/replay"),
        format!("failed/payment/{message}/discard"),
        format!("failed/payment/{message}/edit"),
        "replays/payment/new".to_owned(),
        format!("replays/payment/{UNKNOWN_ID}/pause"),
        format!("replays/payment/{UNKNOWN_ID}/resume"),
        format!("replays/payment/{UNKNOWN_ID}/cancel"),
        format!("refunds/{payment}/retry"),
        format!("refunds/{payment}/settle"),
        "books/pass".to_owned(),
    ]
    .map(|action| format!("/console/{action}"))
    .into()
}

/// A message that fails, whose body and type try to be HTML.
async fn failed_message(stack: &Stack) -> String {
    let properties = BasicProperties::default().with_type("<b>type</b>".into());
    let body = b"<script>alert(1)</script>";
    stack.amqp.publish(EventType::OrderCreated, body, properties).await;
    let failed = stack.api.with_key(OPERATOR).failed_messages_are(Queue::PaymentOrderCreated, 1).await;
    failed[0].id.to_string()
}

#[tokio::test]
async fn a_key_that_reads_what_operators_read_opens_the_console_and_no_other_does() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let mut stranger = stack.stranger();
    for path in ["/console", "/console/orders?status=PAID"] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.location().starts_with("/console/sign-in?next=%2Fconsole"), "{}", answer.location());
    }
    assert_eq!(stranger.get("/console/live").await.status, StatusCode::UNAUTHORIZED);
    let page = stranger.page("/console/sign-in").await;
    assert!(page.contains("staging of the tests") && page.contains("type=\"password\""), "{page}");

    let refused = stranger.sign_in(SHOP).await;
    assert!(refused.status == StatusCode::FORBIDDEN && refused.html.contains("admin:read"), "{refused:?}");
    let unknown = Key { secret: "no-key", line: "" };
    let refused = stranger.sign_in(unknown).await;
    assert!(
        refused.status == StatusCode::UNAUTHORIZED && refused.html.contains("an unknown key"),
        "{refused:?}"
    );
    assert_eq!(stranger.get("/console").await.status, StatusCode::SEE_OTHER);

    let signed_in = stranger.sign_in(VIEWER).await;
    let cookie = signed_in.headers[header::SET_COOKIE].to_str().expect("text");
    assert!(cookie.contains("; Path=/console;") && cookie.ends_with("HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(VIEWER.secret) && !cookie.contains("Secure"), "{cookie}");
    let page = stranger.page("/console").await;
    assert!(page.contains(">app <") && page.contains(">viewer<"), "{page}");
    let recorded = eventually("all of it is in the audit", async || {
        let records = stored(&stack).await;
        let of_console: Vec<_> = records.iter().map(|record| format!("{record:?}")).collect();
        let has =
            |words: &[&str]| of_console.iter().any(|record| words.iter().all(|word| record.contains(word)));
        let all = has(&["AUTHENTICATION_FAILED", "an unknown key"])
            && has(&["AUTHORIZATION_DENIED", "shop", "lacks the scope admin:read"])
            && has(&["CONSOLE_SIGNED_IN", "app", "as viewer"]);
        if all { Ok(of_console) } else { Err(format!("{of_console:#?}")) }
    });
    assert!(!recorded.await.concat().contains(VIEWER.secret));
}

#[tokio::test]
async fn a_session_opens_the_console_alone_and_ends_with_its_key_and_when_it_is_signed_out_of() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let visitor = stack.visitor(VIEWER).await;
    let request =
        stack.api.request(http::Method::GET, "/api/orders").header(header::COOKIE, visitor.cookie());
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "a cookie is no key");

    // Who has kept the cookie can't go on with it.
    let leaver = stack.visitor(VIEWER).await;
    let gone = leaver.act("/console/sign-out", &[]).await;
    assert_eq!((gone.status, gone.location()), (StatusCode::SEE_OTHER, "/console/sign-in"));
    assert_eq!(leaver.get("/console").await.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.get("/console").await.status, StatusCode::OK);

    keys.write(&[SHOP.line, OPERATOR.line]);
    eventually("the session has ended with its key", async || {
        let answer = visitor.get("/console").await;
        if answer.status == StatusCode::SEE_OTHER { Ok(()) } else { Err(answer.status) }
    })
    .await;
}

#[tokio::test]
async fn sessions_hold_at_every_gateway_with_the_same_secret_and_at_no_other() {
    let keys = keys();
    let stack = with(&keys).gateway_env("CONSOLE_SESSION_SECRET", "s".repeat(32)).start().await;
    let visitor = stack.visitor(VIEWER).await;
    let same = stack.another(&stack.gateway, &[]).await;
    assert_eq!(visitor.at(same.url()).get("/console").await.status, StatusCode::OK);
    let other = stack.another(&stack.gateway, &[("CONSOLE_SESSION_SECRET", "t".repeat(32))]).await;
    assert_eq!(visitor.at(other.url()).get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn every_page_is_small_whole_without_scripts_and_runs_none_but_its_own() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let message = failed_message(&stack).await;
    let order = place(&stack, "10.01").await;
    stack.api.with_key(OPERATOR).order_becomes(order, OrderStatus::Paid).await;
    for visitor in [stack.visitor(VIEWER).await, stack.visitor(OPERATOR).await] {
        for path in pages(order, &message) {
            let answer = visitor.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.html);
            assert!(answer.html.len() < 50 * 1024, "{path}: {} bytes", answer.html.len());
            assert!(answer.html.contains("staging of the tests"), "{path}");
            assert!(answer.html.contains("<header class=\"orange\">"), "{path}");
            for wrong in ["style=\"", "<style", "onclick", "<script>", "<b>type", "http://", "https://"] {
                assert!(!answer.html.contains(wrong), "{path} has {wrong}");
            }
            let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(
                policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"),
                "{policy}"
            );
            assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        }
    }
    let page = stack.visitor(VIEWER).await.page(&format!("/console/failed/payment/{message}")).await;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "what it says is shown as text: {page}");
}

#[tokio::test]
async fn a_viewer_can_do_nothing_by_page_or_by_request() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let message = failed_message(&stack).await;
    let order = place(&stack, "10.01").await;
    stack.api.with_key(OPERATOR).order_becomes(order, OrderStatus::Paid).await;
    let viewer = stack.visitor(VIEWER).await;
    for path in pages(order, &message) {
        let page = viewer.page(&path).await;
        let forms = page.matches("method=\"post\"").count();
        assert!(forms == 1 && page.contains("action=\"/console/sign-out\""), "{path} has {forms} forms");
    }
    nothing_is_done(&stack, &viewer, order, &message, "scope admin:write").await;
}

#[tokio::test]
async fn a_read_only_console_changes_nothing_for_operators_either() {
    let keys = keys();
    let stack = with(&keys).gateway_env("CONSOLE", "read-only").start().await;
    let message = failed_message(&stack).await;
    let order = place(&stack, "10.01").await;
    stack.api.with_key(OPERATOR).order_becomes(order, OrderStatus::Paid).await;
    let operator = stack.visitor(OPERATOR).await;
    let page = operator.page(&format!("/console/orders/{order}")).await;
    assert!(page.contains("read-only") && !page.contains("Cancel the order"), "{page}");
    nothing_is_done(&stack, &operator, order, &message, "read-only").await;
}

/// Every action is refused for this reason, and nothing has changed afterwards.
async fn nothing_is_done(stack: &Stack, visitor: &Visitor, order: OrderId, message: &str, why: &str) {
    for path in actions(order, message) {
        let answer = visitor.act(&path, &[("body", "{}"), ("reference", "T-1")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.html);
        assert!(answer.html.contains(why), "{path}: {}", answer.html);
    }
    let operator = stack.api.with_key(OPERATOR);
    operator.order_becomes(order, OrderStatus::Paid).await;
    let failed = operator.failed_messages_are(Queue::PaymentOrderCreated, 1).await;
    assert_eq!((failed[0].id.to_string().as_str(), failed[0].attempts), (message, 1));
    let replays: i64 = sqlx::query_scalar("SELECT count(*) FROM replays")
        .fetch_one(&stack.payment_database)
        .await
        .expect("the database answers");
    assert_eq!(replays, 0);
}

#[tokio::test]
async fn an_action_needs_a_form_of_the_session_from_the_same_site_and_a_reason() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let order = place(&stack, "10.01").await;
    let (operator, other) = (stack.visitor(OPERATOR).await, stack.visitor(OPERATOR).await);
    let path = format!("/console/orders/{order}/cancel");
    let token = operator.get("/console").await.form_token();
    let of_other = other.get("/console").await.form_token();
    let reason = ("reason", "a test");
    for (fields, site, status) in [
        (vec![reason], "same-origin", StatusCode::FORBIDDEN),
        (vec![("token", of_other.as_str()), reason], "same-origin", StatusCode::FORBIDDEN),
        (vec![("token", token.as_str()), reason], "cross-site", StatusCode::FORBIDDEN),
        (vec![("token", token.as_str()), reason], "same-site", StatusCode::FORBIDDEN),
        (vec![("token", token.as_str())], "same-origin", StatusCode::BAD_REQUEST),
        (vec![("token", token.as_str()), ("reason", "  ")], "same-origin", StatusCode::BAD_REQUEST),
    ] {
        let answer = operator.send(&path, &fields, site).await;
        assert_eq!(answer.status, status, "{fields:?} from {site}: {}", answer.html);
    }
    stack.api.with_key(OPERATOR).order_becomes(order, OrderStatus::Paid).await;
    let done = operator.send(&path, &[("token", &token), reason], "same-origin").await;
    assert_eq!(done.location(), format!("/console/orders/{order}?done=cancel"));
    stack.api.with_key(OPERATOR).order_becomes(order, OrderStatus::Cancelled).await;
    eventually("it is in the audit with who, why and the outcome", async || {
        let records = stored(&stack).await;
        let wanted = ["CANCELLATION_REQUESTED", "operator", &order.to_string(), "202", "a test"];
        let lines: Vec<_> = records.iter().map(|record| format!("{record:?}")).collect();
        let found = lines.iter().any(|line| wanted.iter().all(|word| line.contains(word)));
        if found { Ok(()) } else { Err(format!("{lines:#?}")) }
    })
    .await;
    let page = operator.page(&format!("/console/orders/{order}")).await;
    assert!(page.contains("CANCELLED") && page.contains("USER_REQUESTED"), "{page}");
}

#[tokio::test]
async fn a_console_that_is_off_is_not_there() {
    let keys = keys();
    let stack = with(&keys).gateway_env("CONSOLE", "off").start().await;
    for path in ["/console", "/console/sign-in", "/console/assets/console.css"] {
        let answer = stack.stranger().get(path).await;
        assert!(
            [StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED].contains(&answer.status),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn without_authentication_every_visitor_is_an_operator_and_forms_still_need_their_session() {
    let stack = Stack::start().await;
    let order = stack.api.place("10.01").await;
    stack.api.order_becomes(order, OrderStatus::Paid).await;
    let mut visitor = stack.stranger();
    let path = format!("/console/orders/{order}/cancel");
    let answer = visitor.send(&path, &[("reason", "a test")], "cross-site").await;
    assert!(answer.location().starts_with("/console/sign-in"), "{answer:?}");
    visitor.open().await;
    let answer = visitor.send(&path, &[("reason", "a test")], "cross-site").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    stack.api.order_becomes(order, OrderStatus::Paid).await;
    assert_eq!(visitor.act(&path, &[]).await.status, StatusCode::SEE_OTHER);
    stack.api.order_becomes(order, OrderStatus::Cancelled).await;
}

#[tokio::test]
async fn one_box_finds_an_order_by_anything_that_names_it() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let order = place(&stack, "10.01").await;
    stack.api.with_key(OPERATOR).order_becomes(order, OrderStatus::Paid).await;
    let viewer = stack.visitor(VIEWER).await;
    let payment = stack.api.with_key(OPERATOR).payment_of(order).await.expect("it has a payment");
    for text in [order.to_string(), payment.id.to_string(), payment.transaction_id.expect("it was charged")] {
        let answer = viewer.get(&format!("/console/search?q={text}")).await;
        assert_eq!(answer.location(), format!("/console/orders/{order}"), "{text}");
    }
    assert!(viewer.page("/console/search?q=nothing").await.contains("Nothing is known under"));
}
