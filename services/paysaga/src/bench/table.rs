//! The results of a measurement as tables.

use std::collections::BTreeMap;

use comfy_table::Table;

use super::latency::{Latencies, show};
use super::report::{Report, Single, Throughput};
use crate::table;

/// Single orders, then both ways with their ratio, then what to know about the numbers.
#[must_use]
pub fn render(report: &Report) -> String {
    let Report { single, one_at_a_time: one, at_once: many, .. } = report;
    let parts = [
        format!("{} single orders on the idle stack", single.orders),
        single_table(single).to_string(),
        "  seen: from the request to the settled order in the answer.\n  \
         saga: from the transaction that wrote the order to the one that \
         settled it, to the millisecond.\n"
            .to_owned(),
        format!("{} orders, sent one at a time and at once", one.sent),
        throughput_table(report).to_string(),
        format!(
            "  settled/s: until all were seen to have settled, which was at most {} and {} late.",
            show(one.seen_late),
            show(many.seen_late)
        ),
        remarks(one),
        remarks(many),
    ];
    parts.join("\n")
}

fn single_table(single: &Single) -> Table {
    let mut table = table::with_header(["", "median", "p95", "max"]);
    for (name, latencies) in [("seen", single.seen), ("saga", single.saga)] {
        let Latencies { median, p95, max, .. } = latencies;
        table.add_row([name.to_owned(), show(median), show(p95), show(max)]);
    }
    table
}

fn throughput_table(report: &Report) -> Table {
    let Report { one_at_a_time: one, at_once: many, ratio, .. } = report;
    let mut table =
        table::with_header(["", "one at a time", &format!("{} at once", many.concurrency), "ratio"]);
    let mut row = |name: &str, value: &dyn Fn(&Throughput) -> String, ratio: Option<f64>| {
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.1} ×"));
        table.add_row([name.to_owned(), value(one), value(many), ratio]);
    };
    row("accepted/s", &|throughput| format!("{:.0}", throughput.accepted_per_second), Some(ratio.accepted));
    row("settled/s", &|throughput| format!("{:.0}", throughput.settled_per_second), Some(ratio.settled));
    row("accept, median", &|throughput| show(throughput.accept.median), None);
    row("accept, p99", &|throughput| show(throughput.accept.p99), None);
    row("ended", &|throughput| list(&throughput.statuses), None);
    row("refused, sent again", &|throughput| throughput.refused.to_string(), None);
    row("errors", &|throughput| list(&throughput.errors), None);
    table
}

fn remarks(throughput: &Throughput) -> String {
    let Throughput { concurrency, errors, first_error, sums_are_exact, .. } = throughput;
    let totals = if *sums_are_exact {
        "the stack's own totals grew by exactly what was sent"
    } else if errors.is_empty() {
        "the stack's own totals were not compared, since others placed orders too"
    } else {
        "the stack's own totals were not compared, since it is not known which of the errors were accepted after all"
    };
    let error =
        first_error.as_ref().map_or_else(String::new, |error| format!("\n    The first error: {error}"));
    format!("  {concurrency} at once: every accepted order has settled; {totals}.{error}")
}

pub(super) fn list(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
