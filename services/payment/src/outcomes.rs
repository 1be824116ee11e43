//! What becomes of payments, and the money that moved, counted.

use std::sync::LazyLock;

use chassis::aggregate::{Changes, Updated};
use chassis::telemetry::METER;
use contracts::{Money, PaymentStatus};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use strum::VariantArray;

use crate::domain::{Payment, Refund};

static MONEY: LazyLock<Counter<f64>> = LazyLock::new(|| {
    METER
        .f64_counter("paysaga.money")
        .with_description("Money that was charged and given back, in the unit of an order's total.")
        .build()
});

static SETTLED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.payments.settled")
        .with_description(
            "Payments that became APPROVED, DECLINED, FAILED, CANCELLED or REFUNDED. One that is refunded counts twice.",
        )
        .build()
});

static REFUNDS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    METER
        .u64_counter("paysaga.refunds")
        .with_description("Refunds that were made, and that the payment provider refused for good.")
        .build()
});

/// Makes the counters visible before there is something to count: what appears later has no rate at first.
pub(crate) fn start() {
    for flow in ["charged", "refunded"] {
        MONEY.add(0.0, &[KeyValue::new("flow", flow)]);
    }
    for status in PaymentStatus::VARIANTS.iter().filter(|status| **status != PaymentStatus::Processing) {
        settled(*status, 0);
    }
    for result in ["made", "refused"] {
        REFUNDS.add(0, &[KeyValue::new("result", result)]);
    }
}

/// Counts what these changes say about money.
pub(crate) fn count(changes: &Changes<'_, Payment>) {
    // Cancelled before they came.
    for (_, payment) in
        changes.inserted.iter().filter(|(_, payment)| payment.status != PaymentStatus::Processing)
    {
        settled(payment.status, 1);
    }
    for Updated { before, after, .. } in &changes.updated {
        if before.status != after.status {
            settled(after.status, 1);
        }
        if !has_charged(before) && has_charged(after) {
            moved(after.amount, "charged");
        }
        if before.status != PaymentStatus::Refunded && after.status == PaymentStatus::Refunded {
            moved(after.amount, "refunded");
            REFUNDS.add(1, &[KeyValue::new("result", "made")]);
        }
        if !is_refused(before) && is_refused(after) {
            REFUNDS.add(1, &[KeyValue::new("result", "refused")]);
        }
    }
}

fn settled(status: PaymentStatus, count: u64) {
    SETTLED.add(count, &[KeyValue::new("status", <&str>::from(status))]);
}

fn moved(amount: Money, flow: &'static str) {
    // A total has two decimals: exact for sums up to 10^13.
    MONEY.add(f64::try_from(amount.as_decimal()).unwrap_or_default(), &[KeyValue::new("flow", flow)]);
}

/// A batch may hold a charge and its refund.
fn has_charged(payment: &Payment) -> bool {
    matches!(payment.status, PaymentStatus::Approved | PaymentStatus::Refunded)
}

fn is_refused(payment: &Payment) -> bool {
    matches!(payment.refund, Refund::Refused { .. })
}
