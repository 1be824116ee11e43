//! `paysaga top`: the overview in a terminal, and where there is none.

use contracts::OrderStatus;
use contracts::overview::Overview;
use rustix::process::Signal;
use tests::programs::{Environment, environment};
use tests::{Stack, eventually};

/// The color of the last hour, as it is set.
const CYAN: &str = "38;5;6";

#[tokio::test]
async fn the_overview_is_seen_in_a_terminal_which_is_given_back() {
    let mut stack = Stack::start().await;
    for total in ["10.01", "10.02", "10.01"] {
        let id = stack.api.place(total).await;
        let status = if total == "10.02" { OrderStatus::Cancelled } else { OrderStatus::Paid };
        stack.api.order_becomes(id, status).await;
    }
    let mut top = stack.paysaga_in_terminal(&["top"], Environment::new());
    let screen = top.shows("2 paid, 1 cancelled, 0 failed in the hour").await;
    for text in
        [&stack.gateway.url(), "Orders (1 replica)", "Payments (1 replica)", "0 open of 1 replica", "q ends"]
    {
        assert!(screen.contains(text.trim_end_matches('/')), "{text}: {screen}");
    }
    assert!(screen.contains('█'), "the last hour: {screen}");
    assert!(top.written().contains(CYAN), "in color");
    top.types("?");
    top.shows("what its words mean").await;
    top.shows("the provider is not asked, since it does not answer").await;
    top.types("?");
    top.types("p");
    top.shows("paused at").await;
    top.types("p");

    stack.payment.stop().await;
    top.shows("! Payments: the payment service does not answer").await;
    stack.payment.start_again().await;
    top.shows("Payments (").await;
    stack.gateway.stop().await;
    top.shows("none since:").await;
    top.types("q");
    assert!(top.ends_and_gives_the_terminal_back().await.success());
}

#[tokio::test]
async fn keys_do_not_keep_an_answer_that_takes_its_time_from_being_seen() {
    let stack = Stack::start().await;
    let mut top = stack.paysaga_in_terminal(&["top"], Environment::new());
    top.shows("Payments (1 replica)").await;
    // From now on the gateway waits two seconds for it.
    stack.payment.signal(Signal::STOP);
    eventually("the answer is seen", async || {
        top.types("??");
        if top.screen().contains("the payment service does not answer") { Ok(()) } else { Err(top.screen()) }
    })
    .await;
    stack.payment.signal(Signal::CONT);
    top.types("q");
    assert!(top.ends_and_gives_the_terminal_back().await.success());
}

#[tokio::test]
async fn a_signal_ends_it_as_a_key_does_and_colors_can_be_switched_off() {
    let stack = Stack::start().await;
    let mut top = stack.paysaga_in_terminal(&["top"], environment(&[("NO_COLOR", "1")]));
    top.shows("Orders (1 replica)").await;
    top.signal(Signal::TERM);
    assert!(top.ends_and_gives_the_terminal_back().await.success());
    assert!(!top.written().contains(CYAN), "{}", top.written());

    let mut top = stack.paysaga_in_terminal(&["top"], Environment::new());
    top.shows("Orders (1 replica)").await;
    top.types("\x03");
    assert!(top.ends_and_gives_the_terminal_back().await.success());
}

#[tokio::test]
async fn without_a_terminal_it_is_printed_once() {
    let stack = Stack::start().await;
    for arguments in [&["top"][..], &["top", "--once"]] {
        let printed = stack.paysaga(arguments).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        assert!(printed.stdout.contains("Orders (1 replica)\n  accepted "), "{printed:?}");
        assert!(!printed.stdout.contains('\x1b'), "{printed:?}");
    }
    let json = stack.paysaga(&["top", "--json"]).await;
    let overview: Overview = serde_json::from_str(&json.stdout).expect("it is the contract's");
    assert!(overview.order.is_some() && overview.payment.is_some(), "{json:?}");
}
