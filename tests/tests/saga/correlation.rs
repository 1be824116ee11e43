//! `x-correlation-id` and `traceparent`, which join everything that one request causes.

use contracts::{EventType, OrderStatus, PaymentStatus};
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;
use tests::api::{UNKNOWN_ID, accepted, header, order};
use tests::api_keys::{KeyFile, SHOP};
use tests::call::Call;
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::{Stack, eventually};
use uuid::Uuid;

#[tokio::test]
async fn every_answer_has_the_requests_correlation_id_or_one_that_was_made() {
    let stack = Stack::start().await;
    let unknown = &format!("/api/orders/{UNKNOWN_ID}");
    let request = |method, path: &str| stack.api.request(method, path);
    let json = |path: &str, body: String| {
        request(Method::POST, path).header("content-type", "application/json").body(body)
    };
    let requests: [(u16, &dyn Fn() -> Call); 10] = [
        (200, &|| request(Method::GET, "/api/orders")),
        (202, &|| json("/api/orders", order("10.01"))),
        (202, &|| request(Method::PATCH, &format!("{unknown}/cancel"))),
        (400, &|| json("/api/orders", "{".to_owned())),
        (400, &|| request(Method::GET, "/api/orders/7")),
        (404, &|| request(Method::GET, unknown)),
        (404, &|| request(Method::GET, "/nothing")),
        (405, &|| request(Method::DELETE, "/api/orders")),
        (413, &|| json("/api/orders", " ".repeat(70_000))),
        (415, &|| request(Method::POST, "/api/orders").body(order("10.01"))),
    ];
    for (status, request) in &requests {
        let send = async |request: Call| {
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status().as_u16(), *status);
            assert!(is_traceparent(&header(&response, "traceparent")));
            header(&response, "x-correlation-id")
        };
        for taken in ["shop-4711", "x", &"c".repeat(128), "{\"a\":\"<b>\"}"] {
            assert_eq!(send(request().header("x-correlation-id", taken)).await, taken, "{status}");
        }
        let made = send(request()).await;
        assert!(Uuid::parse_str(&made).is_ok(), "{status}: {made}");
        assert_ne!(made, send(request()).await, "{status}");
    }
    // What would not fit into a log line or a message is not passed on.
    for wrong in ["", "two words", "tab\tinside", "schlüssel", &"c".repeat(129)] {
        let value = HeaderValue::from_bytes(wrong.as_bytes()).expect("a header");
        let response = requests[0].1().header("x-correlation-id", value).send().await.expect("an answer");
        let made = header(&response, "x-correlation-id");
        assert!(Uuid::parse_str(&made).is_ok(), "{wrong:?} became {made}");
    }
    // The services behind the gateway do the same.
    for service in [&stack.order, &stack.payment] {
        let request = reqwest::Client::new().get(format!("{}/nothing", service.url()));
        let response = request.bearer_auth(SERVICE_TOKEN).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(Uuid::parse_str(&header(&response, "x-correlation-id")).is_ok());
        assert!(is_traceparent(&header(&response, "traceparent")));
    }
}

#[tokio::test]
async fn a_correlation_id_goes_through_every_event_and_into_every_services_log() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let placed = stack.api.post_order(order("10.01")).header("x-correlation-id", "placed-by-ann");
    let placed = placed.send().await.expect("an answer");
    let trace_id = header(&placed, "traceparent")[3..35].to_owned();
    let id = accepted(placed).await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    let path = format!("/api/orders/{id}/cancel");
    let cancelled = stack.api.request(Method::PATCH, &path).header("x-correlation-id", "cancelled-by-bob");
    assert_eq!(cancelled.send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    stack.api.payment_becomes(id, PaymentStatus::Refunded).await;

    // Each event has the id of the request that it arises from: the refund that of the cancellation.
    for (event_type, expected) in [
        (EventType::CreateOrderRequested, "placed-by-ann"),
        (EventType::OrderCreated, "placed-by-ann"),
        (EventType::PaymentApproved, "placed-by-ann"),
        (EventType::OrderCancelRequested, "cancelled-by-bob"),
        (EventType::OrderCancelled, "cancelled-by-bob"),
        (EventType::PaymentRefunded, "cancelled-by-bob"),
    ] {
        let message = tap.wait_for(event_type, id).await;
        let property = message.properties.correlation_id().as_ref().map(ToString::to_string);
        assert_eq!(property.as_deref(), Some(expected), "{event_type}");
        assert_eq!(message.envelope().correlation_id.as_deref(), Some(expected), "{event_type}");
    }
    for service in [&stack.gateway, &stack.order, &stack.payment] {
        for correlation_id in ["placed-by-ann", "cancelled-by-bob"] {
            is_in_the_log(service, "correlation.id", correlation_id).await;
        }
        is_in_the_log(service, "order.id", &id.to_string()).await;
        is_in_the_log(service, "trace_id", &trace_id).await;
    }
    // Queries are passed on under the client's id as well.
    let query = stack.api.request(Method::GET, &format!("/api/orders/{id}"));
    let response = query.header("x-correlation-id", "asked-by-eve").send().await.expect("an answer");
    assert_eq!(header(&response, "x-correlation-id"), "asked-by-eve");
}

#[tokio::test]
async fn a_clients_trace_is_continued_and_a_malformed_one_is_not() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = |traceparent: &str| {
        stack.api.request(Method::GET, "/api/orders").header("traceparent", traceparent).send()
    };
    let response = traced(&format!("00-{trace_id}-00f067aa0ba902b7-01")).await.expect("an answer");
    let returned = header(&response, "traceparent");
    assert!(is_traceparent(&returned) && returned[3..35] == *trace_id, "{returned}");
    let request = stack.api.post_order(order("10.01")).header("tracestate", "shop=cart");
    let request = request.header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"));
    let id = accepted(request.send().await.expect("an answer")).await;
    for event_type in [EventType::CreateOrderRequested, EventType::OrderCreated, EventType::PaymentApproved] {
        let message = tap.wait_for(event_type, id).await;
        assert_eq!(message.header("tracestate").as_deref(), Some("shop=cart"), "{event_type}");
        assert_eq!(message.header("traceparent").expect("it has one")[3..35], *trace_id, "{event_type}");
    }

    for malformed in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "nonsense",
    ] {
        let response = traced(malformed).await.expect("an answer");
        let made = header(&response, "traceparent");
        assert!(is_traceparent(&made) && made[3..35] != *trace_id, "{malformed} became {made}");
    }
}

/// W3C Trace Context: version, trace id, span id, flags; ids are not zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length
            && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let [version, trace, span, flags] = parts[..] else { return false };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    version == "00" && hex(trace, 32) && hex(span, 16) && hex(flags, 2) && !zero(trace) && !zero(span)
}

/// Waits until a line of the service's log has the member.
async fn is_in_the_log(service: &ServiceProcess, field: &str, value: &str) {
    eventually(&format!("{field}={value} is in the log"), async || {
        let has = |line: &Value| line[field] == value;
        if service.log_lines().iter().any(has) { Ok(()) } else { Err(service.log()) }
    })
    .await;
}

#[tokio::test]
async fn a_tracestate_of_more_than_512_bytes_is_not_passed_on() {
    let stack = Stack::start().await;
    let mut tap = stack.amqp.tap().await;
    for (length, passed_on) in [(512, true), (513, false)] {
        // A member has 256 characters at most.
        let state = format!("shop={},app={}", "x".repeat(250), "y".repeat(length - 260));
        let request = stack.api.post_order(order("10.01")).header("tracestate", &state);
        let request =
            request.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let id = accepted(request.send().await.expect("an answer")).await;
        let message = tap.wait_for(EventType::OrderCreated, id).await;
        assert_eq!(message.header("tracestate"), passed_on.then_some(state));
    }
}

#[tokio::test]
async fn a_caller_without_a_key_neither_forces_nor_hides_a_trace() {
    let keys = KeyFile::of(&[SHOP]);
    let stack = Stack::with().gateway_env("API_KEYS_FILE", keys.path()).start().await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut decisions = Vec::new();
    for flags in ["00", "01"] {
        let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-{flags}");
        for (client, is_continued) in [(stack.api.clone(), false), (stack.api.with_key(SHOP), true)] {
            let request = client.request(Method::GET, "/api/orders").header("traceparent", &traceparent);
            let returned = header(&request.send().await.expect("an answer"), "traceparent");
            assert_eq!(&returned[3..35] == trace_id, is_continued, "{returned}");
            if is_continued {
                assert!(returned.ends_with(flags), "{returned}");
            } else {
                decisions.push(returned[53..].to_owned());
            }
        }
    }
    assert_eq!(decisions[0], decisions[1], "what a stranger sends makes no difference");
}
