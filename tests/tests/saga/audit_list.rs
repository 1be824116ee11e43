//! Operators read the audit: the latest first, a part at a time, filtered.

use contracts::Word;
use contracts::audit_list::NumberedAuditRecord;
use contracts::page::Slice;
use http::{Method, StatusCode};
use serde_json::json;
use tests::Stack;
use tests::api::{UNKNOWN_ID, refused};
use tests::api_keys::{KeyFile, OPERATOR, SHOP};

use crate::audit_records::stored_are;

const PATH: &str = "/api/admin/audit";

type Part = Slice<NumberedAuditRecord<Word>>;

/// A part of the audit, and the query that leads on.
async fn part(stack: &Stack, query: &str) -> (Part, Option<String>) {
    let response = stack.api.get(&format!("{PATH}{query}")).await;
    let link = response.headers().get("link").map(|link| link.to_str().expect("text").to_owned());
    let next = link.and_then(|link| Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned()));
    assert_eq!(response.status(), StatusCode::OK);
    (response.json().await.expect("the contract's shape"), next)
}

/// The numbers of all records that a query means, and in how many parts they came.
async fn numbers(stack: &Stack, query: &str) -> (Vec<u64>, usize) {
    let (mut numbers, mut parts, mut next) = (Vec::new(), 0, Some(query.to_owned()));
    while let Some(query) = next {
        let (part, behind) = part(stack, &query).await;
        numbers.extend(part.data.iter().map(|record| record.number));
        (parts, next) = (parts + 1, behind);
    }
    (numbers, parts)
}

/// Adds as many records as a page looks at, and a few more: one a second, the first of them of another actor.
async fn fill(stack: &Stack) {
    sqlx::query(
        "INSERT INTO audit_records (number, id, recorded_at, action, actor, subject, outcome, reason, count, hash)
         SELECT n, gen_random_uuid(), timestamptz '2026-01-01 00:00Z' + n * interval '1 second',
                CASE WHEN n % 1000 = 0 THEN 'KEY_ADDED' ELSE 'ADMIN_WRITE' END, CASE n WHEN 3 THEN 'rare' ELSE 'ops' END,
                'POST /thing/' || n, 200, 'because', 1, sha256('')
         FROM generate_series(1, 20010) AS n",
    )
    .execute(&stack.order_database)
    .await
    .expect("the database answers");
}

#[tokio::test]
async fn the_audit_is_read_from_the_latest_record_on() {
    let stack = Stack::start().await;
    fill(&stack).await;
    let (first, next) = part(&stack, "?limit=2&actor=ops").await;
    assert_eq!(first.data.iter().map(|record| record.number).collect::<Vec<_>>(), [20010, 20009]);
    let record = &first.data[0].record;
    assert_eq!((&*record.action, record.outcome, record.count), ("ADMIN_WRITE", Some(200), 1));
    assert_eq!(record.subject.as_deref(), Some("POST /thing/20010"));
    let (second, _) = part(&stack, &next.expect("there are more")).await;
    assert_eq!(second.data.iter().map(|record| record.number).collect::<Vec<_>>(), [20008, 20007]);
    // Of one that came late the time counts, not its place in the chain.
    let late =
        "UPDATE audit_records SET recorded_at = timestamptz '2026-01-01 00:00:07.5Z' WHERE number = 20005";
    sqlx::query(late).execute(&stack.order_database).await.expect("the database answers");
    let query = "?from=2026-01-01T00:00:05Z&to=2026-01-01T00:00:10Z&limit=4";
    assert_eq!(numbers(&stack, query).await, (vec![9, 8, 20005, 7, 6, 5], 2));
    assert_eq!(part(&stack, "?cursor=999999").await.0.data.len(), 0);
}

#[tokio::test]
async fn filters_hold_together_and_lead_on_where_little_fits() {
    let stack = Stack::start().await;
    fill(&stack).await;
    let thousands: Vec<u64> = (1..=20).rev().map(|n| n * 1000).collect();
    let (added, _) = numbers(&stack, "?action=KEY_ADDED&limit=100").await;
    assert_eq!(added, thousands);
    assert_eq!(numbers(&stack, "?action=KEY_ADDED&subject=/thing/10").await.0, [10000, 1000]);
    // The latest 20 000 are looked at in vain.
    let (nothing, next) = part(&stack, "?actor=rare").await;
    assert_eq!((nothing.data.len(), next.is_some()), (0, true));
    assert_eq!(numbers(&stack, "?actor=rare").await, (vec![3], 2));
}

#[tokio::test]
async fn what_an_operator_did_and_that_they_read_it_is_on_record() {
    let keys = KeyFile::of(&[SHOP, OPERATOR]);
    let mut stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let stranger = stack.api.with_key(SHOP);
    stack.api = stack.api.with_key(OPERATOR);
    let path = format!("/api/admin/order/failed-messages/{UNKNOWN_ID}");
    let discard = stack.api.request(Method::DELETE, &path).json(&json!({"reason": "a duplicate"}));
    assert_eq!(discard.send().await.expect("an answer").status(), StatusCode::NOT_FOUND);
    // The keys with which the gateway started, and that.
    stored_are(&stack, 2).await;
    let (decided, _) = part(&stack, "?actor=operator&action=ADMIN_WRITE").await;
    let record = &decided.data[0].record;
    assert_eq!(
        (decided.data.len(), record.reason.as_deref(), record.outcome),
        (1, Some("a duplicate"), Some(404))
    );
    stored_are(&stack, 3).await;
    let (read, _) = part(&stack, "?subject=GET%20/api/admin/audit").await;
    assert_eq!(read.data[0].record.action, "ADMIN_READ");
    assert_eq!(stranger.get(PATH).await.status(), StatusCode::FORBIDDEN);
    for query in ["?colour=red", "?cursor=x", "?from=monday", "?actor=a%00"] {
        let response = stack.api.get(&format!("{PATH}{query}")).await;
        assert_eq!(refused(response, StatusCode::BAD_REQUEST, query).await.len(), 1);
    }
}
