//! What alerts are made of. Every gateway shows what the one that compares has stored, so all show the same: the largest counts,
//! not the sum.

use std::sync::LazyLock;

use chassis::telemetry::METER;
use contracts::Timestamp;
use contracts::books::Books;
use opentelemetry::metrics::Gauge;

static DISAGREEMENTS: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.books.disagreements")
        .with_description("Orders whose records don't fit together. Every gateway shows the same.")
        .build()
});

static IN_FLIGHT: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    METER
        .u64_gauge("paysaga.books.in_flight")
        .with_description(
            "Orders that are compared when they have had time to settle. Every gateway shows the same.",
        )
        .build()
});

static COMPARED_UNTIL: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    METER
        .i64_gauge("paysaga.books.compared_until_timestamp")
        .with_unit("s")
        .with_description(
            "What changed until then was compared, but for what is in flight. Every gateway shows the same.",
        )
        .build()
});

static LAST_PASS: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    METER
        .i64_gauge("paysaga.books.last_pass_timestamp")
        .with_unit("s")
        .with_description("When the last full comparison ended. Every gateway shows the same.")
        .build()
});

/// Shows them.
pub(super) fn show(books: &Books) {
    let seconds = |at: Timestamp| at.as_datetime().unix_timestamp();
    DISAGREEMENTS.record(books.disagreement_count, &[]);
    IN_FLIGHT.record(books.in_flight, &[]);
    if let Some(until) = books.compared_until {
        COMPARED_UNTIL.record(seconds(until), &[]);
    }
    if let Some(pass) = &books.last_pass {
        LAST_PASS.record(seconds(pass.finished_at), &[]);
    }
}
