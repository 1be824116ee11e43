//! The wire, byte by byte. What stands in `golden/events` and `golden/http` is what we write and what we read; what
//! stands in `golden/nestjs` is what the services that paysaga replaces write, and we must read.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on says so and ends")]

use std::fmt::Debug;
use std::path::PathBuf;

use contracts::ask_now::{AskNowAccepted, AskNowRequest};
use contracts::audit_list::NumberedAuditRecord;
use contracts::audit_record::NewAuditRecords;
use contracts::books::{Books, PassRequest};
use contracts::changes::Changed;
use contracts::failed_message::{
    DiscardRequest, FailedMessage, FailedMessageDetails, ReplayAccepted, ReplayRequest,
};
use contracts::feed::FeedPage;
use contracts::health::Health;
use contracts::order::{
    CancelOrder, CancelOrderAccepted, CreateOrder, CreateOrderAccepted, IdempotencyClaim, IdempotencyClaimed,
    Order, StoredAnswer, Timeline,
};
use contracts::overview::Overview;
use contracts::page::{Page, Slice};
use contracts::payment::{Payment, PaymentStats};
use contracts::refund::{Refund, RefundDetails, RetryRequest, SettleRequest};
use contracts::replay::{
    EditRequest, FailureCauses, NewReplay, Replay, ReplayChange, ReplayMember, ReplayPreview,
};
use contracts::{Envelope, Event, EventType, OrderId, Problem, ProblemType};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strum::VariantArray;

fn golden(path: &str) -> String {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path).with_extension("json");
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim_end()
        .to_owned()
}

/// `OrderCreated` stands in `order-created.json`.
fn file_of(event_type: EventType) -> String {
    let mut name = String::new();
    for letter in event_type.to_string().chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[test]
fn every_event_is_read_and_written_byte_for_byte() {
    for &event_type in EventType::VARIANTS {
        let json = golden(&format!("events/{}", file_of(event_type)));
        let envelope = Envelope::decode(json.as_bytes()).unwrap();
        assert_eq!(envelope.event.event_type(), event_type);
        assert_eq!(envelope.encode().unwrap().body, json);
    }
}

#[track_caller]
fn both_ways<T: Serialize + DeserializeOwned + Debug>(name: &str) {
    let json = golden(&format!("http/{name}"));
    let value: T = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&value).unwrap(), json, "{name}");
}

#[test]
fn every_http_body_is_read_and_written_byte_for_byte() {
    both_ways::<Order>("order");
    both_ways::<Order>("order-cancelled");
    both_ways::<Page<Order>>("order-page");
    both_ways::<CreateOrderAccepted>("create-order-accepted");
    both_ways::<CancelOrderAccepted>("cancel-order-accepted");
    both_ways::<Payment>("payment");
    both_ways::<Page<Payment>>("payment-page");
    both_ways::<PaymentStats>("payment-stats");
    both_ways::<Timeline>("timeline");
    both_ways::<Books>("books");
    both_ways::<PassRequest>("books-pass");
    both_ways::<Page<FailedMessage>>("failed-message-page");
    both_ways::<FailedMessageDetails>("failed-message");
    both_ways::<ReplayRequest>("replay");
    both_ways::<ReplayAccepted>("replay-accepted");
    both_ways::<DiscardRequest>("discard");
    both_ways::<EditRequest>("edit-message");
    both_ways::<FailureCauses>("failure-causes");
    both_ways::<NewReplay>("new-replay");
    both_ways::<ReplayPreview>("replay-preview");
    both_ways::<Replay>("replay-operation");
    both_ways::<Page<Replay>>("replay-operation-page");
    both_ways::<Page<ReplayMember>>("replay-member-page");
    both_ways::<ReplayChange>("replay-change");
    both_ways::<Page<Refund>>("refund-page");
    both_ways::<Overview>("overview");
    both_ways::<Overview>("overview-of-order");
    both_ways::<RefundDetails>("refund");
    both_ways::<RetryRequest>("retry-refund");
    both_ways::<SettleRequest>("settle-refund");
    both_ways::<FeedPage>("feed-page");
    both_ways::<Changed>("changed");
    both_ways::<Changed>("changed-anew");
    both_ways::<Health>("health");
    both_ways::<IdempotencyClaim>("idempotency-claim");
    both_ways::<IdempotencyClaimed>("idempotency-claimed");
    both_ways::<IdempotencyClaimed>("idempotency-claimed-again");
    both_ways::<IdempotencyClaimed>("idempotency-claimed-in-progress");
    both_ways::<IdempotencyClaimed>("idempotency-claimed-answered");
    both_ways::<StoredAnswer>("stored-answer");
    both_ways::<StoredAnswer>("stored-answer-of-order");
    both_ways::<NewAuditRecords>("new-audit-records");
    both_ways::<Slice<NumberedAuditRecord>>("audit-records");
    both_ways::<AskNowRequest>("ask-now");
    both_ways::<AskNowAccepted>("ask-now-accepted");

    let json = golden("http/create-order");
    let order = CreateOrder::from_json(json.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&order).unwrap(), json);
    assert!(CancelOrder::from_json(golden("http/cancel-order").as_bytes()).is_ok());
}

#[test]
fn a_list_is_no_filter_that_all_messages_fit() {
    assert!(serde_json::from_str::<ReplayRequest>(r#"{"filter":{}}"#).is_ok());
    assert!(serde_json::from_str::<ReplayRequest>(r#"{"filter":[]}"#).is_err());
    assert!(serde_json::from_str::<NewReplay>(r#"{"reason":"mended","filter":[]}"#).is_err());
}

#[test]
fn every_kind_of_problem_is_read_and_written_byte_for_byte() {
    for &problem_type in ProblemType::VARIANTS {
        let json = golden(&format!("problems/{problem_type}"));
        let Problem { detail, errors, .. } = serde_json::from_str(&json).unwrap();
        let problem = Problem { errors, ..Problem::new(problem_type, detail) };
        assert_eq!(serde_json::to_string(&problem).unwrap(), json);
    }
}

#[test]
fn a_nestjs_gateway_names_no_order_and_every_delivery_means_the_same_one() {
    let json = golden("nestjs/create-order-requested");
    let envelope = Envelope::decode(json.as_bytes()).unwrap();
    let Event::CreateOrderRequested(event) = &envelope.event else { panic!("{envelope:?}") };
    assert_eq!(event.order_id, None);
    assert_eq!(event.total.to_string(), "999");
    assert_eq!(envelope.correlation_id, None);
    assert_eq!(envelope.order_id(), OrderId::from_create_event(envelope.event_id));
}

#[test]
fn members_that_we_dont_know_are_ignored_in_any_order() {
    let envelope = Envelope::decode(golden("nestjs/order-created").as_bytes()).unwrap();
    let Event::OrderCreated(event) = &envelope.event else { panic!("{envelope:?}") };
    assert_eq!(event.total.to_string(), "0.1");
    assert_eq!(envelope.occurred_at.to_string(), "2026-01-02T03:04:05.000Z");

    let envelope = Envelope::decode(golden("nestjs/payment-approved").as_bytes()).unwrap();
    let Event::PaymentApproved(event) = &envelope.event else { panic!("{envelope:?}") };
    assert_eq!(event.transaction_id, "9b2e7a34-0d3c-4c53-9a6a-2f6d3b1c4e5f");
    assert_eq!(envelope.correlation_id, None);
}

#[test]
fn what_breaks_the_contract_is_refused_with_the_reason() {
    let created = golden("events/order-created");
    for (from, to, reason) in [
        (
            "\"eventType\":\"OrderCreated\"",
            "\"eventType\":\"OrderExploded\"",
            "unknown eventType `OrderExploded`",
        ),
        ("\"eventId\"", "\"id\"", "missing field `eventId`"),
        ("\"total\":999.99", "\"total\":\"999.99\"", "payload of OrderCreated: must be a number"),
        ("\"total\":999.99", "\"total\":-1", "payload of OrderCreated: must be greater than 0"),
        ("\"total\":999.99", "\"total\":1e15", "payload of OrderCreated: must be at most 999999999999.99"),
        ("\"userId\"", "\"customer\"", "payload of OrderCreated: missing field `userId`"),
        ("{", "", "not an event envelope"),
    ] {
        let broken = created.replacen(from, to, 1);
        assert_ne!(broken, created, "{from}");
        let error = Envelope::decode(broken.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(Envelope::decode(b"").is_err());
    assert!(Envelope::decode(&[0xff, 0xfe]).is_err());
}
