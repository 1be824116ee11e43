//! The chain of the audit's records: whole however many replicas store at once, and found broken by `paysaga check` if it was tampered with.

use std::collections::HashSet;

use contracts::audit_record::{AuditRecord, NewAuditRecords};
use contracts::topology::Service;
use contracts::{OrderId, Word};
use futures_util::future::join_all;
use http::StatusCode;
use reqwest::Client;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tests::Stack;
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::stack::CommandOutput;
use uuid::Uuid;

use crate::audit_records::stored_are;

#[tokio::test]
async fn replicas_that_store_at_once_keep_one_chain() {
    let stack = Stack::start().await;
    let other = ServiceProcess::start(Service::Order, stack.order.environment().clone(), stack.logs()).await;
    let client = Client::new();
    let batch =
        |_| NewAuditRecords { records: (0..5).map(|_| AuditRecord::now(Word::from("ADMIN_READ"))).collect() };
    let batches: Vec<_> = (0..40).map(batch).collect();
    // Each is sent to both, as a gateway does that got no answer.
    let requests = batches.iter().flat_map(|batch| {
        [&stack.order, &other]
            .map(|replica| client.post(format!("{}/audit-records", replica.url())))
            .map(|request| request.bearer_auth(SERVICE_TOKEN).json(batch).send())
    });
    for answer in join_all(requests).await {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{:?}", answer.text().await);
    }
    let stored: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM audit_records ORDER BY number")
        .fetch_all(&stack.order_database)
        .await
        .expect("the database answers");
    let sent: HashSet<_> = batches.iter().flat_map(|batch| &batch.records).map(|record| record.id).collect();
    assert_eq!((stored.len(), stored.into_iter().collect::<HashSet<_>>()), (200, sent));
    chain_is_whole(&stack, &[]).await;
}

/// A stack that has recorded five cancellations and is stopped, and the last head that its order service has logged.
async fn five_records() -> (Stack, String) {
    let mut stack = Stack::start().await;
    for _ in 0..5 {
        stack.api.cancel(OrderId::new()).await;
    }
    stored_are(&stack, 5).await;
    stack.drain_every_queue().await;
    stored_are(&stack, 6).await;
    stack.outboxes_empty().await;
    stack.order.stop().await;
    let lines = stack.order.log_lines();
    let heads: Vec<_> = lines.iter().filter_map(|line| line["audit.head"].as_str()).collect();
    let last = (*heads.last().expect("the head is in the log")).to_owned();
    assert!(last.starts_with("6:"), "{heads:?}");
    chain_is_whole(&stack, &heads).await;
    (stack, last)
}

async fn tamper(stack: &Stack, statements: &'static str) {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&stack.order_database)
        .await
        .expect("a superuser can do anything");
}

async fn check(stack: &Stack, heads: &[&str]) -> CommandOutput {
    let heads = heads.iter().flat_map(|head| ["--audit-head", head]);
    let arguments: Vec<_> = ["check", "--settled", "--json"].into_iter().chain(heads).collect();
    stack.paysaga_with(&arguments, stack.infrastructure_urls()).await
}

/// The head that the check finds, which must find nothing wrong.
pub(crate) async fn chain_is_whole(stack: &Stack, heads: &[&str]) -> Value {
    let ran = check(stack, heads).await;
    assert!(!ran.stdout.contains("audit-chain"), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    report["auditHead"].clone()
}

async fn chain_is_broken(stack: &Stack, heads: &[&str], what: &str) {
    let ran = check(stack, heads).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let [found] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(found["invariant"], "audit-chain");
    assert!(found["what"].as_str().is_some_and(|text| text.starts_with(what)), "{found} is not: {what}");
}

#[tokio::test]
async fn a_record_that_was_edited_is_found() {
    let (stack, _) = five_records().await;
    for (edit, undo) in [
        (
            "UPDATE audit_records SET actor = 'a' WHERE number = 3",
            "UPDATE audit_records SET actor = 'anonymous' WHERE number = 3",
        ),
        (
            "UPDATE audit_records SET reason = '' WHERE number = 3",
            "UPDATE audit_records SET reason = NULL WHERE number = 3",
        ),
        (
            "UPDATE audit_records SET recorded_at = recorded_at + interval '1 ms' WHERE number = 3",
            "UPDATE audit_records SET recorded_at = recorded_at - interval '1 ms' WHERE number = 3",
        ),
        (
            "UPDATE audit_records SET count = 2 WHERE number = 3",
            "UPDATE audit_records SET count = 1 WHERE number = 3",
        ),
        ("UPDATE audit_records SET recorded_at = 'infinity' WHERE number = 3", ""),
    ] {
        tamper(&stack, edit).await;
        chain_is_broken(&stack, &[], "record 3 is not the one that was written there").await;
        tamper(&stack, undo).await;
    }
}

#[tokio::test]
async fn a_record_that_was_deleted_is_found() {
    let (stack, _) = five_records().await;
    tamper(&stack, "DELETE FROM audit_records WHERE number = 3").await;
    chain_is_broken(&stack, &[], "record 3 is missing: 4 stands in its place").await;
    tamper(&stack, "UPDATE audit_records SET number = number - 1 WHERE number > 3").await;
    chain_is_broken(&stack, &[], "record 3 is not the one that was written there").await;
}

#[tokio::test]
async fn records_that_were_reordered_are_found() {
    let (stack, _) = five_records().await;
    tamper(
        &stack,
        "UPDATE audit_records SET number = -number WHERE number IN (2, 3);
         UPDATE audit_records SET number = 5 + number WHERE number < 0",
    )
    .await;
    chain_is_broken(&stack, &[], "record 2 is not the one that was written there").await;
}

#[tokio::test]
async fn a_record_that_was_put_in_is_found() {
    let (stack, _) = five_records().await;
    tamper(
        &stack,
        "INSERT INTO audit_records (number, id, recorded_at, action, count, hash)
         SELECT 7, gen_random_uuid(), now(), 'ADMIN_READ', 1, hash FROM audit_records WHERE number = 6",
    )
    .await;
    chain_is_broken(&stack, &[], "record 7 is not the one that was written there").await;
}

#[tokio::test]
async fn a_chain_that_was_cut_off_is_told_by_a_head_of_the_log_alone() {
    let (stack, head) = five_records().await;
    tamper(&stack, "DELETE FROM audit_records WHERE number > 4").await;
    let left = chain_is_whole(&stack, &[]).await;
    assert!(left.as_str().is_some_and(|left| left.starts_with("4:")), "{left}");
    chain_is_broken(&stack, &[&head], "record 6 was there, and the chain leads to 4 only").await;
    tamper(&stack, "TRUNCATE audit_records").await;
    chain_is_whole(&stack, &[]).await;
    chain_is_broken(&stack, &[&head], "record 6 was there, and the chain leads to 0 only").await;
    // A chain of others in its place is whole in itself too.
    let mut stack = stack;
    stack.order.start_again().await;
    for _ in 0..6 {
        stack.api.cancel(OrderId::new()).await;
    }
    stored_are(&stack, 6).await;
    stack.drain_every_queue().await;
    chain_is_whole(&stack, &[]).await;
    chain_is_broken(&stack, &[&head], "the chain was written anew up to record 6").await;
}

#[tokio::test]
async fn a_head_is_looked_for_in_the_database_alone() {
    let stack = Stack::start().await;
    let head = format!("1:{}", "0".repeat(64));
    let ran = stack.paysaga(&["check", "--audit-head", &head]).await;
    assert!(ran.stderr.contains("--audit-head needs the databases"), "{ran:?}");
    let ran = stack.paysaga(&["check", "--audit-head", "1:00"]).await;
    assert!(ran.stderr.contains("must be NUMBER:HASH as the order service logs it"), "{ran:?}");
}
