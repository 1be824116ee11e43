//! The page that shows the API's description, in a real browser.

use contracts::OrderStatus;
use contracts::order::Order;
use contracts::page::Page;
use serde_json::{Value, json};
use tests::api_keys::{KeyFile, OPERATOR};
use tests::browser::{Browser, ENTER, TAB};
use tests::description::DESCRIPTION;
use tests::{Stack, eventually};

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn the_page_shows_every_operation_and_tries_one_by_keyboard_in_a_browser() {
    let file = KeyFile::of(&[OPERATOR]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", file.path()).start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/api/docs#createOrder", stack.gateway.url())).await;
    let operations = DESCRIPTION.operations().count();
    eventually("the operations are shown", async || {
        let shown = browser.run("return document.querySelectorAll('#operations > details').length").await;
        if shown == json!(operations) { Ok(()) } else { Err(shown) }
    })
    .await;

    // The address names an operation: it is open, and has the focus. The keyboard leads from the field of the key to its button.
    let focused = async || browser.run("return document.activeElement.textContent").await;
    assert!(
        focused().await.as_str().is_some_and(|text| text.contains("Place an order")),
        "{}",
        focused().await
    );
    browser.run("document.getElementById('key').focus()").await;
    browser.press(OPERATOR.secret).await;
    browser.run("document.querySelector('#createOrder summary').focus()").await;
    let mut presses = 0;
    while focused().await != "Send" {
        presses += 1;
        assert!(presses < 40, "the keyboard does not lead to the button");
        browser.press(&TAB.to_string()).await;
    }
    browser.press(&ENTER.to_string()).await;
    eventually("the answer is shown", async || {
        let shown =
            browser.run("return document.querySelector('#createOrder .answer-status')?.textContent").await;
        if shown == "202" { Ok(()) } else { Err(shown) }
    })
    .await;
    let api = stack.api.with_key(OPERATOR);
    let orders: Page<Order> = api.read("/api/orders").await;
    api.order_becomes(orders.data[0].id, OrderStatus::Paid).await;

    // Nothing was loaded from anywhere else, and each field has a name for those who don't see it.
    let origins = browser
        .run("return performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)")
        .await;
    let origins = origins.as_array().cloned().unwrap_or_default();
    let own = Value::from(stack.gateway.url());
    assert!(!origins.is_empty() && origins.iter().all(|origin| *origin == own), "{origins:?}");
    let fields = "[...document.querySelectorAll('input, textarea, select')]";
    let nameless =
        browser.run(&format!("return {fields}.filter(field => !field.labels.length).length")).await;
    assert_eq!(nameless, json!(0));
    browser.close().await;
}
