//! What becomes of orders, counted.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use chassis::aggregate::{Changes, Updated};
use chassis::telemetry::METER;
use contracts::{CancelReason, OrderId, OrderStatus};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use crate::domain::Order;
use crate::samples;

static SETTLED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.orders.settled")
        .with_description(
            "Orders that became PAID, CANCELLED or FAILED. One that is paid and then cancelled counts twice.",
        )
        .build()
});

static PLACED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER.u64_counter("paysaga.orders.placed").with_description("Orders that were placed.").build()
});

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    METER
        .f64_histogram("paysaga.saga.duration")
        .with_unit("s")
        .with_description("Time from placing an order to the outcome of its payment or its cancellation.")
        .build()
});

/// Makes the counter visible before there is something to count: what appears later has no rate at first.
pub(crate) fn start() {
    use CancelReason::{PaymentDeclined, PaymentTimeout, UserRequested};
    PLACED.add(0, &[]);
    for status in [OrderStatus::Paid, OrderStatus::Failed] {
        SETTLED.add(0, &labels("status", status, None));
    }
    for reason in [UserRequested, PaymentDeclined, PaymentTimeout] {
        SETTLED.add(0, &labels("status", OrderStatus::Cancelled, Some(reason)));
    }
}

/// Counts the orders that settled with these changes; `ages` are those of orders that were updated.
pub(crate) fn count(changes: &Changes<'_, Order>, ages: &HashMap<OrderId, Duration>) {
    PLACED.add(changes.inserted.len() as u64, &[]);
    samples::placed(changes.inserted.len() as u64);
    // Cancelled before they came.
    for (_, order) in changes.inserted.iter().filter(|(_, order)| is_settled(order)) {
        ended(order);
    }
    for Updated { order_id, before, after } in &changes.updated {
        if before.status == after.status || !is_settled(after) {
            continue;
        }
        if is_settled(before) {
            ended(after);
        } else {
            settled(after, ages.get(order_id).copied().unwrap_or_default());
        }
    }
}

fn settled(order: &Order, age: Duration) {
    ended(order);
    samples::settled_after(age);
    DURATION.record(age.as_secs_f64(), &labels("outcome", order.status, order.cancel_reason));
}

fn ended(order: &Order) {
    SETTLED.add(1, &labels("status", order.status, order.cancel_reason));
    samples::ended(order.status);
}

fn is_settled(order: &Order) -> bool {
    order.status != OrderStatus::PendingPayment
}

fn labels(name: &'static str, status: OrderStatus, reason: Option<CancelReason>) -> [KeyValue; 2] {
    let reason = reason.map_or("", <&str>::from);
    [KeyValue::new(name, <&str>::from(status)), KeyValue::new("reason", reason)]
}
