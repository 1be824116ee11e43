//! The running check of the books: what does not fit together is found, and what is in flight is no disagreement.

use std::time::{Duration, Instant};

use contracts::books::exchange::ChangedOrders;
use contracts::books::{Books, BooksVerdict, Disagreement};
use contracts::{OrderId, OrderStatus, PaymentStatus};
use http::{Method, StatusCode};
use reqwest::Response;
use serde_json::json;
use sqlx::PgPool;
use tests::api::{Api, problem, refused};
use tests::api_keys::{APP, KeyFile, OPERATOR};
use tests::{Stack, eventually};
use tokio::time::sleep;
use uuid::Uuid;

const PATH: &str = "/api/admin/books";

/// Longer than what changed has to settle, and the pauses between looks.
const SETTLED: Duration = Duration::from_mins(1);

async fn books(stack: &Stack) -> Books {
    stack.api.read(PATH).await
}

/// Waits for longer than `eventually` does.
async fn books_become(stack: &Stack, what: &str, is_so: impl Fn(&Books) -> bool) -> Books {
    let deadline = Instant::now() + SETTLED;
    loop {
        let found = books(stack).await;
        if is_so(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// The same, while everything is compared again and again.
async fn passes_find(stack: &Stack, what: &str, is_so: impl Fn(&Books) -> bool) -> Books {
    let deadline = Instant::now() + SETTLED;
    loop {
        // 409 while one is under way or wanted.
        begin_pass(&stack.api, "a test").await;
        let found = books(stack).await;
        if is_so(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn begin_pass(api: &Api, reason: &str) -> Response {
    let request = api.request(Method::POST, &format!("{PATH}/pass")).json(&json!({"reason": reason}));
    request.send().await.expect("an answer")
}

async fn execute(database: &PgPool, sql: &'static str) {
    sqlx::query(sql).execute(database).await.expect("the database answers");
}

/// Moves all changes into the past, so that nothing has to be waited for to settle.
async fn long_ago(stack: &Stack) {
    execute(&stack.order_database, "UPDATE orders SET updated_at = updated_at - interval '5 minutes'").await;
    execute(&stack.payment_database, "UPDATE payments SET updated_at = updated_at - interval '5 minutes'")
        .await;
}

/// The disagreement, and what each has there.
fn of(found: &Disagreement) -> (Option<OrderId>, &str, [Option<&str>; 3]) {
    let values = [&found.order, &found.payment, &found.provider].map(|value| value.as_deref());
    (found.order_id, &found.member, values)
}

#[tokio::test]
async fn the_books_balance_after_sagas_of_every_outcome_and_a_row_changed_by_hand_is_found_until_it_is_mended()
 {
    let stack = Stack::start().await;
    let mut paid = None;
    for (total, status) in
        [("10.01", OrderStatus::Paid), ("20.02", OrderStatus::Cancelled), ("30.03", OrderStatus::Failed)]
    {
        let id = stack.api.place(total).await;
        stack.api.order_becomes(id, status).await;
        paid = paid.or(Some(id));
    }
    stack.drain_every_queue().await;
    stack.outboxes_empty().await;
    long_ago(&stack).await;
    let balanced = passes_find(&stack, "all are compared", |books| {
        books.last_pass.as_ref().is_some_and(|pass| (pass.orders, pass.in_flight) == (4, 0))
    })
    .await;
    assert_eq!((balanced.verdict, balanced.disagreement_count), (BooksVerdict::Balanced, 0), "{balanced:?}");
    let pass = balanced.last_pass.expect("there was a pass");
    assert_eq!(
        (pass.paid.to_string(), pass.held.map(|held| held.to_string())),
        ("10.01".into(), Some("10.01".into()))
    );

    let by_hand = "UPDATE payments SET amount = 10 WHERE status = 'APPROVED'";
    execute(&stack.payment_database, by_hand).await;
    let found = passes_find(&stack, "it is found", |books| !books.disagreements.is_empty()).await;
    assert_eq!((found.verdict, found.disagreement_count), (BooksVerdict::Disagree, 1));
    let disagreement = &found.disagreements[0];
    assert_eq!(of(disagreement), (paid, "amount", [Some("10.01"), Some("10"), Some("10.01")]));
    assert_eq!(disagreement.invariant, "books-balance");
    gauge_shows(&stack, "1").await;

    let charge = "UPDATE provider_simulator.charges SET refunded_at = now() WHERE amount = 10.01";
    execute(&stack.payment_database, "UPDATE payments SET amount = 10.01 WHERE status = 'APPROVED'").await;
    execute(&stack.payment_database, charge).await;
    let found = passes_find(&stack, "the charge is found", |books| {
        books.disagreements.iter().any(|found| found.member == "charge")
            && books.last_pass.as_ref().is_some_and(|pass| pass.held != Some(pass.paid))
    })
    .await;
    assert_eq!(
        of(&found.disagreements[0]),
        (paid, "charge", [Some("PAID"), Some("APPROVED"), Some("APPROVED, refunded")])
    );
    let pass = found.last_pass.expect("there was a pass");
    assert_eq!(
        (pass.paid.to_string(), pass.held.map(|held| held.to_string())),
        ("10.01".into(), Some("0".into()))
    );

    let mended = "UPDATE provider_simulator.charges SET refunded_at = NULL WHERE amount = 10.01";
    execute(&stack.payment_database, mended).await;
    let balanced = passes_find(&stack, "it is mended", |books| books.disagreements.is_empty()).await;
    assert_eq!(balanced.verdict, BooksVerdict::Balanced);
    gauge_shows(&stack, "0").await;
}

async fn gauge_shows(stack: &Stack, value: &str) {
    eventually(&format!("the gauge shows {value}"), async || {
        let metrics = stack.gateway.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with("paysaga_books_disagreements"));
        match line.and_then(|line| line.rsplit(' ').next()) {
            Some(shown) if shown == value => Ok(()),
            shown => Err(format!("{shown:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_payment_says_otherwise_is_found_by_its_change_without_a_full_pass() {
    let stack = Stack::start().await;
    let first = books_become(&stack, "the first pass has ended", |books| books.last_pass.is_some()).await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.payment_becomes(id, PaymentStatus::Approved).await;
    execute(
        &stack.payment_database,
        "UPDATE payments SET status = 'DECLINED', next_step = NULL, due_at = NULL",
    )
    .await;
    let found = books_become(&stack, "it is found", |books| books.disagreement_count > 0).await;
    let values = [Some("PAID"), Some("DECLINED"), Some("APPROVED")];
    assert_eq!(of(&found.disagreements[0]), (Some(id), "status", values));
    assert_eq!(found.last_pass, first.last_pass, "there was no other pass");
    assert!(found.compared_until > first.compared_until);
}

#[tokio::test]
async fn an_order_that_waits_for_its_provider_is_in_flight() {
    let stack =
        Stack::with().env("PROVIDER_TIMEOUT", "1h").env("PROVIDER_LATENCY_MS", "3600000").start().await;
    let id = stack.api.place("10.01").await;
    stack.api.charge_begins(id).await;
    long_ago(&stack).await;
    let waiting = passes_find(&stack, "a pass has seen it", |books| {
        books.last_pass.as_ref().is_some_and(|pass| pass.orders == 1)
    })
    .await;
    assert_eq!((waiting.verdict, waiting.disagreement_count), (BooksVerdict::Balanced, 0), "{waiting:?}");
    assert_eq!(waiting.last_pass.map(|pass| pass.in_flight), Some(1));
    assert_eq!(waiting.in_flight, 1);
    // Its payment is lost, and its deadline has passed without any effect: it does not come right by waiting.
    execute(&stack.payment_database, "DELETE FROM payments").await;
    execute(
        &stack.order_database,
        "UPDATE orders SET status = 'FAILED', updated_at = now() - interval '1 hour'",
    )
    .await;
    let found = passes_find(&stack, "it is wrong", |books| books.disagreement_count > 0).await;
    assert_eq!(of(&found.disagreements[0]), (Some(id), "status", [Some("FAILED"), None, Some("no charge")]));
}

async fn holder(stack: &Stack) -> Option<Uuid> {
    let holder = sqlx::query_scalar::<_, Option<Uuid>>("SELECT holder FROM books");
    holder.fetch_one(&stack.order_database).await.expect("the database answers")
}

#[tokio::test]
async fn one_gateway_compares_and_another_takes_over_when_it_is_killed() {
    let mut stack = Stack::start().await;
    books_become(&stack, "the first compares", |books| books.last_pass.is_some()).await;
    let first = holder(&stack).await;
    let second = stack.another(&stack.gateway, &[]).await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    eventually("the first knows of the order", async || match books(&stack).await.in_flight {
        0 => Err("it does not"),
        _ => Ok(()),
    })
    .await;
    assert_eq!(holder(&stack).await, first, "it keeps the lease");
    stack.gateway.kill().await;
    stack.gateway = second;
    stack.api = Api::new(stack.gateway.url());
    let changed = "UPDATE payments SET amount = 10 WHERE status = 'APPROVED'";
    execute(&stack.payment_database, changed).await;
    let found = books_become(&stack, "the second compares what the first had read", |books| {
        books.disagreement_count > 0
    })
    .await;
    assert_eq!(found.disagreements[0].order_id, Some(id));
    assert_ne!(holder(&stack).await, first);
}

#[tokio::test]
async fn an_operator_has_everything_compared_and_the_audit_knows_why() {
    let keys = KeyFile::of(&[OPERATOR, APP]);
    keys.write(&[OPERATOR.line.to_owned(), APP.with("scopes=admin:read")]);
    let mut stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let viewer = stack.api.with_key(APP);
    stack.api = stack.api.with_key(OPERATOR);
    let first = books_become(&stack, "the first pass has ended", |books| {
        books.last_pass.is_some() && books.pass.is_none()
    })
    .await;
    assert_eq!(begin_pass(&viewer, "I may not").await.status(), StatusCode::FORBIDDEN);
    let without = begin_pass(&stack.api, " ").await;
    assert_eq!(refused(without, StatusCode::BAD_REQUEST, "no reason").await, ["reason"]);
    let accepted = begin_pass(&stack.api, "the statement was corrected").await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    let again = problem(begin_pass(&stack.api, "once more").await).await;
    assert_eq!((again.status, again.detail.as_str()), (409, "A full pass is under way, or wanted already."));
    let started = |books: &Books| books.last_pass.as_ref().map(|pass| pass.started_at);
    books_become(&stack, "another pass has ended", |books| started(books) > started(&first)).await;
    eventually("it is in the audit", async || {
        let recorded = sqlx::query_as::<_, (String, Option<i32>)>(
            "SELECT reason, outcome FROM audit_records
             WHERE action = 'ADMIN_WRITE' AND actor = 'operator' AND reason IS NOT NULL ORDER BY number",
        );
        let recorded = recorded.fetch_all(&stack.order_database).await.expect("the database answers");
        let expected = ("the statement was corrected".to_owned(), Some(202));
        if recorded.contains(&expected) { Ok(()) } else { Err(format!("{recorded:?}")) }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_known_while_the_order_service_is_away() {
    let mut stack = Stack::start().await;
    books_become(&stack, "the first pass has ended", |books| books.last_pass.is_some()).await;
    assert_eq!(books(&stack).await.verdict, BooksVerdict::Balanced);
    stack.order.stop().await;
    assert_eq!(books(&stack).await.verdict, BooksVerdict::Unknown);
}

#[tokio::test]
async fn a_transaction_in_progress_keeps_what_is_behind_it_from_being_compared_and_the_time_says_so() {
    let stack = Stack::start().await;
    let start: ChangedOrders = stack.order.read("/books/changes").await;
    let mut held = stack.order_database.begin().await.expect("the database answers");
    // It has an id from its first write on.
    sqlx::query("SELECT pg_current_xact_id()").execute(&mut *held).await.expect("the database answers");
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let recorded = stack.api.timeline(id).await.events[0].recorded_at;
    let path = format!("/books/changes?after={}", start.cursor);
    let frozen: ChangedOrders = stack.order.read(&path).await;
    assert_eq!((&*frozen.orders, frozen.cursor, frozen.read_at), (&[][..], start.cursor, recorded));
    held.rollback().await.expect("the database answers");
    eventually("it is read", async || {
        let read: ChangedOrders = stack.order.read(&path).await;
        let all = read.orders == [id] && !read.more && read.cursor > start.cursor;
        if all && read.read_at > recorded { Ok(()) } else { Err(format!("{read:?}")) }
    })
    .await;
}
