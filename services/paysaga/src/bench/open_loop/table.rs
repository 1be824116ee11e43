//! The results of runs at rates as tables.

use std::collections::BTreeSet;

use comfy_table::Table;

use super::report::{MeasuredStack, RateReport, Run};
use super::search::Search;
use crate::bench::latency::show;
use crate::bench::table::list;
use crate::table;

/// A way to show a value of a run.
type Show<'a> = &'a dyn Fn(&RateReport) -> String;

/// One column a run; then, if there are runs of two stacks, how they compare.
#[must_use]
pub fn render(runs: &[Run]) -> String {
    let mut table = table::with_header(
        std::iter::once(String::new())
            .chain(runs.iter().map(|run| run.stack.to_string()))
            .collect::<Vec<_>>(),
    );
    let mut row = |name: &str, value: Show<'_>| {
        let values = runs.iter().map(|run| value(&run.report));
        table.add_row(std::iter::once(name.to_owned()).chain(values).collect::<Vec<_>>());
    };
    row("rate", &|run| format!("{:.0}/s for {} s", run.rate, run.duration.as_secs()));
    row("accepted", &|run| run.accepted.to_string());
    row("refused", &|run| run.refused.to_string());
    row("errors", &|run| list(&run.errors));
    row("ended", &|run| list(&run.statuses));
    for (name, of) in [("median", 0), ("p99", 1), ("max", 2)] {
        row(&format!("accept, {name}"), &|run| show([run.accept.median, run.accept.p99, run.accept.max][of]));
    }
    for (name, of) in [("median", 0), ("p99", 1), ("max", 2)] {
        row(&format!("settle, {name}"), &|run| show([run.settle.median, run.settle.p99, run.settle.max][of]));
    }
    row("backlog, half-way and at the end", &|run| {
        format!("{}, {}", run.backlog_at_half, run.backlog_at_end)
    });
    row("CPU ms an order", &|run| {
        run.cpu_per_order()
            .map_or_else(|| "?".to_owned(), |cpu| format!("{:.2}", milliseconds(cpu.as_secs_f64())))
    });
    let programs: BTreeSet<&String> = runs.iter().flat_map(|run| run.report.usage.keys()).collect();
    for program in programs {
        row(&format!("  {program}"), &|run| {
            run.usage.get(program).map_or_else(String::new, |usage| {
                format!(
                    "{:.2} (at most {} MiB)",
                    milliseconds(usage.cpu_seconds / run.orders()),
                    usage.peak_memory >> 20
                )
            })
        });
    }
    format!("{table}\n{REMARKS}{}", ratios(runs))
}

/// The means of this stack's runs by those of the other's, or of those beside a flood by the others; empty if there are none.
fn ratios(runs: &[Run]) -> String {
    let mean = |stack: MeasuredStack, of: &dyn Fn(&RateReport) -> f64| {
        mean(runs.iter().filter(|run| run.stack == stack).map(|run| of(&run.report)))
    };
    let has = |stack| runs.iter().any(|run| run.stack == stack);
    let (words, numerator, denominator) = if has(MeasuredStack::Other) {
        ("This by the other", MeasuredStack::This, MeasuredStack::Other)
    } else if has(MeasuredStack::Flooded) {
        ("Beside the flood by alone", MeasuredStack::Flooded, MeasuredStack::This)
    } else {
        return String::new();
    };
    let ratio = |of: &dyn Fn(&RateReport) -> f64| mean(numerator, of) / mean(denominator, of);
    format!(
        "\n{words}: accept median {:.2}, p99 {:.2}; settle median {:.2}, p99 {:.2}; CPU an order {:.2}",
        ratio(&|run| run.accept.median.as_secs_f64()),
        ratio(&|run| run.accept.p99.as_secs_f64()),
        ratio(&|run| run.settle.median.as_secs_f64()),
        ratio(&|run| run.settle.p99.as_secs_f64()),
        ratio(&|run| run.cpu_per_order().unwrap_or_default().as_secs_f64()),
    )
}

const REMARKS: &str = "  accept and settle: from when the order was due, by the clocks of this machine and of the order service's.\n  \
                       CPU: of the stack's own processes, its servers included and this program not; memory is that of \
                       the largest process of each.";

/// Searches one after the other; then, if there are some of two stacks, how they compare.
#[must_use]
pub fn render_searches(searches: &[Search]) -> String {
    let mut text: Vec<String> = searches.iter().map(render_search).collect();
    let mean = |stack: MeasuredStack| {
        let of_stack = searches.iter().filter(|search| search.stack == stack);
        mean(of_stack.map(|search| search.sustained.unwrap_or_default()))
    };
    let ratio = mean(MeasuredStack::This) / mean(MeasuredStack::Other);
    if ratio.is_finite() {
        text.push(format!("This by the other: {ratio:.2}"));
    }
    text.join("\n\n")
}

/// Every rate that was tried, and the highest that was sustained.
fn render_search(search: &Search) -> String {
    let mut table = table::with_header([
        "orders/s",
        "settle, median",
        "settle, p99",
        "refused",
        "backlog at the end",
        "CPU ms an order",
        "sustained",
    ]);
    for run in &search.runs {
        add_run(&mut table, search, run);
    }
    let bound = show(search.bound.settle_p99);
    let found = search.sustained.map_or_else(
        || "Not even the lowest rate was sustained".to_owned(),
        |rate| format!("{rate:.0} orders/s are sustained"),
    );
    format!(
        "{} stack\n{table}\n{found}: nothing refused, no growing backlog, settle p99 within {bound}.",
        search.stack
    )
}

fn add_run(table: &mut Table, search: &Search, run: &RateReport) {
    let cpu = run.cpu_per_order();
    table.add_row([
        format!("{:.0}", run.rate),
        show(run.settle.median),
        show(run.settle.p99),
        run.refused.to_string(),
        run.backlog_at_end.to_string(),
        cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{:.2}", milliseconds(cpu.as_secs_f64()))),
        if search.bound.holds(run) { "yes" } else { "no" }.to_owned(),
    ]);
}

/// Not a number if there are no values.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

fn milliseconds(seconds: f64) -> f64 {
    seconds * 1000.0
}
