//! The operator's console in a real browser, on a real stack with real faults.

use std::path::PathBuf;

use contracts::event::PaymentApproved;
use contracts::topology::Queue;
use contracts::{Envelope, EventType, OrderId, OrderStatus, PaymentStatus};
use http::StatusCode;
use lapin::BasicProperties;
use serde_json::{Value, json};
use tests::api_keys::{APP, Key, KeyFile, OPERATOR};
use tests::browser::{Browser, ENTER};
use tests::stack::StackBuilder;
use tests::{Stack, eventually};

/// Shows everything, and may do nothing.
const VIEWER: Key = APP;

fn keys() -> KeyFile {
    let keys = KeyFile::of(&[]);
    keys.write(&[OPERATOR.line, &VIEWER.with("scopes=orders:read,payments:read,admin:read")]);
    keys
}

fn with(keys: &KeyFile) -> StackBuilder {
    Stack::with()
        .gateway_env("API_KEYS_FILE", keys.path())
        .gateway_env("ENVIRONMENT_NAME", "staging")
        // A call that is not answered is given up soon, and its pause is long enough to be seen.
        .env("PROVIDER_TIMEOUT", "500ms")
}

/// A browser whose user has typed a key.
async fn signed_in(stack: &Stack, key: Key) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("{}/console", stack.gateway.url())).await;
    browser.fill("#key", key.secret).await;
    browser.press(&ENTER.to_string()).await;
    browser.says(&["Accepted per second", "Sign out"]).await;
    browser
}

/// Opens a form of the page, says why, and sends it.
async fn act(browser: &Browser, button: &str, reason: &str) {
    browser.click("details.action > summary", button).await;
    browser.fill("details.action[open] input[name=reason]", reason).await;
    browser.click("details.action[open] button.primary", button).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn an_operator_learns_why_an_order_is_stuck_and_gets_it_going_in_a_browser() {
    let keys = keys();
    let mut stack = with(&keys).start().await;
    let api = stack.api.with_key(OPERATOR);
    let provider = stack.block_provider().await;
    let order = api.place("10.01").await;
    let browser = signed_in(&stack, OPERATOR).await;
    browser.says(&["In flight\n1"]).await;

    // By keyboard: the search box, the id, and there is the order.
    browser.press("/").await;
    browser.press(&format!("{order}{ENTER}")).await;
    browser.says(&["Why it is not done", "PENDING_PAYMENT", "PROCESSING"]).await;
    browser.says(&["which brought nothing"]).await;
    // Without a word from the browser, once the pause is long enough: it gets longer with each attempt.
    eventually("the pause is one of some seconds", async || {
        let text = browser.text().await;
        let ahead = text.split("(in ").nth(1).and_then(|rest| rest.split('.').next());
        match ahead.and_then(|number| number.parse::<u32>().ok()) {
            Some(seconds) if seconds >= 6 => Ok(()),
            _ => Err(text),
        }
    })
    .await;
    provider.release().await;
    act(&browser, "Ask the provider now", "it answers again").await;
    browser.says(&["Settled", "It has settled: PAID, its payment APPROVED."]).await;
    api.order_becomes(order, OrderStatus::Paid).await;
    assert!(browser.address().await.ends_with(&format!("/console/orders/{order}?done=ask")));

    // It is cancelled from the same page, which follows.
    act(&browser, "Cancel the order", "the customer called").await;
    browser.says(&["It has settled: CANCELLED, its payment REFUNDED.", "PaymentRefunded"]).await;
    api.payment_becomes(order, PaymentStatus::Refunded).await;

    // A service that is killed is missed at once, and seen again.
    browser.click("nav a", "Overview").await;
    browser.says(&["Time to settle", "Circuit breaker"]).await;
    stack.payment.kill().await;
    let text = browser.says(&["The payment service", "It does not answer."]).await;
    assert!(text.contains("Time to settle"), "the other service's part stays: {text}");
    stack.payment.start_again().await;
    browser.says(&["Time to settle", "Circuit breaker"]).await;
    browser.close().await;
}

/// An approval of an order that is not there yet.
async fn approve_too_early(stack: &Stack, order_id: OrderId) {
    let approval = Envelope::now(PaymentApproved { order_id, transaction_id: "t-1".to_owned() }, None);
    let properties = BasicProperties::default()
        .with_message_id(approval.event_id.to_string().into())
        .with_type("PaymentApproved".into());
    let body = approval.encode().expect("an event can be written").body;
    stack.amqp.publish(EventType::PaymentApproved, body.as_bytes(), properties).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn an_operator_finds_three_causes_and_replays_one_with_a_canary_that_stops_in_a_browser() {
    let keys = keys();
    let mut stack = with(&keys).start().await;
    let api = stack.api.with_key(OPERATOR);
    // Nothing is charged meanwhile: what is approved here was approved by these messages.
    stack.payment.stop().await;
    let mut orders: Vec<OrderId> = Vec::new();
    for number in 0..20 {
        let order = OrderId::new();
        orders.push(order);
        approve_too_early(&stack, order).await;
        api.failed_messages_are(Queue::OrderPaymentResult, number + 1).await;
    }
    for number in 0..3 {
        let body = format!("not JSON, number {number}");
        stack
            .amqp
            .publish(EventType::CreateOrderRequested, body.as_bytes(), BasicProperties::default())
            .await;
    }
    for _ in 0..2 {
        let body = json!({ "orderId": OrderId::new(), "total": 12.5 }).to_string();
        stack
            .amqp
            .publish(EventType::OrderCancelRequested, body.as_bytes(), BasicProperties::default())
            .await;
    }
    api.failed_messages_are(Queue::OrderCreate, 3).await;
    api.failed_messages_are(Queue::OrderCancelRequested, 2).await;
    // All but the third are placed by now.
    for (number, order) in orders.iter().enumerate().filter(|(number, _)| *number != 2) {
        place_as(&stack, *order, number).await;
        api.order_becomes(*order, OrderStatus::PendingPayment).await;
    }

    let browser = signed_in(&stack, OPERATOR).await;
    browser.says(&["\n25\nwait for a decision"]).await;
    browser.click("nav a", "Failed messages").await;
    // The services count them every few seconds, and the page follows.
    browser.says(&["order.payment-result.queue", "order.create.queue", "order.cancel-requested.queue"]).await;
    let rows = eventually("twenty, three and two have failed", async || {
        let rows = browser
            .run(
                "return [...document.querySelectorAll('#order ~ div tbody tr')].slice(0, 3)
                     .map((row) => [...row.cells].map((cell) => cell.innerText))",
            )
            .await;
        let rows: Vec<Vec<String>> = serde_json::from_value(rows).expect("rows of texts");
        if rows.iter().map(|row| row[2].as_str()).eq(["20", "3", "2"]) {
            Ok(rows)
        } else {
            Err(format!("{rows:#?}"))
        }
    })
    .await;
    assert!(rows[0][1].starts_with("order.payment-result.queue"), "{rows:#?}");
    // The orders that they name, and what these come to as far as the messages say it.
    assert_eq!(
        (rows[0][7].as_str(), rows[1][7].as_str(), rows[2][7].as_str()),
        ("20", "0", "2"),
        "{rows:#?}"
    );
    assert_eq!(rows[2][8], "25", "{rows:#?}");

    browser.click("tbody tr:first-child a", "Replay …").await;
    browser.says(&["Messages\n20 now", "Money held up"]).await;
    browser.click("details.action > summary", "Begin the replay").await;
    browser.fill("input[name=canary]", "1, 5").await;
    browser.fill("details.action[open] input[name=reason]", "their orders are there now").await;
    browser.click("details.action[open] button.primary", "Begin the replay").await;
    let stopped = ["STOPPED", "1 failed again", "Failed again 1", "2 handled"];
    let text = browser.says(&stopped).await;
    assert!(text.contains("Wave\n2 of 3"), "{text}");
    let paid = async || {
        let mut paid = 0;
        for order in &orders {
            let found = api.get(&format!("/api/orders/{order}")).await;
            if found.status() == StatusCode::OK {
                let order: Value = found.json().await.expect("an order");
                paid += usize::from(order["status"] == "PAID");
            }
        }
        paid
    };
    assert_eq!(paid().await, 2, "nothing behind the one that failed was handled");

    // The messages behind it are good: the operator goes on, and the end says what it came to.
    act(&browser, "Resume", "that order was never placed").await;
    let text = browser.says(&["COMPLETED_WITH_FAILURES", "19 handled", "0 waiting"]).await;
    assert!(text.contains("some messages failed again"), "{text}");
    assert_eq!(paid().await, 19);
    // The message says so too, and its history who did what and why.
    browser.click("tbody tr:nth-child(3) a[href*='/console/failed/']", "").await;
    browser.says(&["Status\nFAILED", "Attempts\n2", "operator"]).await;
    browser.click("nav a", "Audit").await;
    browser.says(&["their orders are there now", "that order was never placed", "CONSOLE_SIGNED_IN"]).await;
    browser.close().await;
}

async fn place_as(stack: &Stack, order: OrderId, number: usize) {
    let request = contracts::event::CreateOrderRequested {
        order_id: Some(order),
        user_id: tests::api::USER.parse().expect("a UUID"),
        total: format!("10.{number:02}").parse().expect("money"),
        owner: None,
    };
    stack.amqp.publish_event(&Envelope::now(request, None)).await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn a_viewer_in_a_second_browser_can_do_none_of_it() {
    let keys = keys();
    let stack = with(&keys).start().await;
    let api = stack.api.with_key(OPERATOR);
    let order = api.place("10.01").await;
    api.order_becomes(order, OrderStatus::Paid).await;
    let (operator, viewer) = (signed_in(&stack, OPERATOR).await, signed_in(&stack, VIEWER).await);
    let page = format!("{}/console/orders/{order}", stack.gateway.url());
    for browser in [&operator, &viewer] {
        browser.open(&page).await;
        browser.says(&["It has settled: PAID"]).await;
    }
    assert!(operator.text().await.contains("Cancel the order"));
    assert!(!viewer.text().await.contains("Cancel the order"));
    // The form that the page does not have, sent from the page with the session's own token.
    let sent = viewer
        .run_async(
            "const done = arguments[arguments.length - 1];
             const token = document.querySelector('input[name=token]').value;
             const body = new URLSearchParams({ token, reason: 'because I can' });
             fetch(location.pathname + '/cancel', { method: 'POST', body }).then((answer) => done(answer.status));",
        )
        .await;
    assert_eq!(sent, 403);
    api.order_becomes(order, OrderStatus::Paid).await;
    operator.close().await;
    viewer.close().await;
}

/// With `axe-core`, from npm, which `./dev test` fetches; `AXE` names its file.
#[tokio::test]
#[ignore = "needs chromium, chromium-driver and axe-core"]
async fn axe_finds_no_violation_on_any_page_in_a_browser() {
    let axe = std::env::var_os("AXE").map(PathBuf::from).expect("AXE names axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("it can be read");
    let keys = keys();
    let stack = with(&keys).start().await;
    let api = stack.api.with_key(OPERATOR);
    let order = api.place("10.01").await;
    api.order_becomes(order, OrderStatus::Paid).await;
    approve_too_early(&stack, OrderId::new()).await;
    let failed = api.failed_messages_are(Queue::OrderPaymentResult, 1).await[0].id;
    let begun = json!({ "reason": "a test" });
    let begun = api.request(http::Method::POST, "/api/admin/order/failed-messages/replays").json(&begun);
    let replay: Value = begun.send().await.expect("an answer").json().await.expect("a replay");
    let replay = replay["id"].as_str().expect("an id");
    let browser = Browser::start().await;
    check(&browser, &axe, &format!("{}/console/sign-in", stack.gateway.url())).await;
    browser.close().await;
    let browser = signed_in(&stack, OPERATOR).await;
    for path in [
        "",
        "/search?q=nothing",
        "/orders",
        &format!("/orders/{order}"),
        "/failed",
        "/failed/order",
        &format!("/failed/order/{failed}"),
        "/replays",
        "/replays/order/new",
        &format!("/replays/order/{replay}"),
        "/refunds",
        "/books",
        "/audit",
    ] {
        check(&browser, &axe, &format!("{}/console{path}", stack.gateway.url())).await;
    }
    browser.close().await;
}

/// Runs all rules of axe on a page, with every form of it open, in light and in dark colours.
async fn check(browser: &Browser, axe: &str, page: &str) {
    for colours in ["light", "dark"] {
        browser.prefers(colours).await;
        check_in_these_colours(browser, axe, page).await;
    }
}

async fn check_in_these_colours(browser: &Browser, axe: &str, page: &str) {
    browser.open(page).await;
    browser.run("document.querySelectorAll('details').forEach((found) => found.open = true)").await;
    let script = format!(
        "const done = arguments[arguments.length - 1];
         {axe};
         axe.run(document, {{ resultTypes: ['violations'] }}).then(
             (found) => done(found.passes.length === 0 ? ['nothing was looked at'] : found.violations.map(
                 (wrong) => wrong.id + ': ' + wrong.nodes.map((node) => node.html.slice(0, 120)).join(' | '))),
             (error) => done(['axe failed: ' + error]));"
    );
    assert_eq!(browser.run_async(&script).await, json!([]), "{page}");
}
