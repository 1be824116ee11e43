//! `GET /api/orders/{id}/events`: an order's saga, step by step.

use contracts::order::Timeline;
use contracts::{EventType, OrderId, OrderStatus, PaymentStatus};
use tests::Stack;
use tests::api::UNKNOWN_ID;

#[tokio::test]
async fn the_timeline_shows_each_step_and_the_orders_status_after_it() {
    use EventType as E;
    use OrderStatus::{Cancelled, Failed, Paid, PendingPayment};

    let stack = Stack::start().await;
    let refunded = stack.api.place("10.01").await;
    stack.api.order_becomes(refunded, Paid).await;
    stack.api.cancel(refunded).await;
    stack.api.timeline_has(refunded, E::PaymentRefunded).await;
    assert_eq!(
        steps(&stack.api.timeline(refunded).await),
        [
            (E::CreateOrderRequested, PendingPayment),
            (E::OrderCreated, PendingPayment),
            (E::PaymentApproved, Paid),
            (E::OrderCancelRequested, Cancelled),
            (E::OrderCancelled, Cancelled),
            (E::PaymentRefunded, Cancelled),
        ]
    );

    let declined = stack.api.place("10.02").await;
    stack.api.order_becomes(declined, Cancelled).await;
    assert_eq!(
        steps(&stack.api.timeline(declined).await),
        [
            (E::CreateOrderRequested, PendingPayment),
            (E::OrderCreated, PendingPayment),
            (E::PaymentDeclined, Cancelled),
            (E::OrderCancelled, Cancelled),
        ]
    );

    let failed = stack.api.place("10.03").await;
    stack.api.order_becomes(failed, Failed).await;
    stack.api.payment_becomes(failed, PaymentStatus::Failed).await;
    let timeline = stack.api.timeline(failed).await;
    assert_eq!(
        steps(&timeline),
        [
            (E::CreateOrderRequested, PendingPayment),
            (E::OrderCreated, PendingPayment),
            (E::PaymentFailed, Failed),
        ]
    );
    assert_eq!(timeline.order_id, failed);
    assert!(timeline.events.is_sorted_by_key(|entry| entry.recorded_at), "{timeline:?}");
    assert_eq!(timeline.events[0].payload["orderId"], failed.to_string());
    assert!(timeline.events[2].payload["error"].is_string(), "{timeline:?}");
}

#[tokio::test]
async fn a_timeline_is_read_in_pages_and_no_client_can_make_it_grow() {
    use EventType as E;

    let stack = Stack::start().await;
    let id = stack.api.place("10.01").await;
    stack.api.order_becomes(id, OrderStatus::Paid).await;
    stack.api.cancel(id).await;
    stack.api.timeline_has(id, E::PaymentRefunded).await;
    let whole = stack.api.timeline(id).await;
    for _ in 0..3 {
        stack.api.cancel(id).await;
        // The first is the only one that is remembered, of an order that there is none of, too.
        stack.api.cancel(never_placed()).await;
    }
    stack.drain_every_queue().await;
    assert_eq!(stack.api.timeline(id).await, whole);
    assert_eq!(stack.api.timeline(never_placed()).await.events.len(), 1);

    let mut path = format!("/api/orders/{id}/events?limit=4");
    let mut pages = Vec::new();
    loop {
        let response = stack.api.get(&path).await;
        let link = response.headers().get("link").map(|link| link.to_str().expect("it is text").to_owned());
        let page: Timeline = response.json().await.expect("a timeline");
        pages.push(page.events);
        let Some(link) = link else { break };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = format!("/api/orders/{id}/events{}", next.expect("a link to the next page"));
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(pages.concat(), whole.events);
}

/// An order that was never placed.
fn never_placed() -> OrderId {
    UNKNOWN_ID.parse().expect("a UUID")
}

fn steps(timeline: &Timeline) -> Vec<(EventType, OrderStatus)> {
    let step = |status: Option<OrderStatus>| status.expect("the order was placed");
    timeline.events.iter().map(|entry| (entry.event_type, step(entry.status))).collect()
}
