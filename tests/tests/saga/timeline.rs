//! `GET /api/orders/{id}/events`: an order's saga, step by step.

use contracts::order::Timeline;
use contracts::{EventType, OrderStatus, PaymentStatus};
use tests::Stack;

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

fn steps(timeline: &Timeline) -> Vec<(EventType, OrderStatus)> {
    let step = |status: Option<OrderStatus>| status.expect("the order was placed");
    timeline.events.iter().map(|entry| (entry.event_type, step(entry.status))).collect()
}
