//! `paysaga demo`: orders of every kind, followed until they settle.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::jaeger_option::JaegerOption;
use super::running_stack::StackOptions;
use crate::demo::{self, FollowedOrder, Kind};
use crate::jaeger::JaegerUrl;
use crate::output::stdout;
use crate::progress::Progress;

/// Places one order of every kind against a running stack (approved, declined, failed, answer lost, slow, cancelled
/// while the charge is under way, cancelled after it was paid, sent twice), follows each until it settles and prints a table.
/// Fails if one ends otherwise than its kind should, or not in time.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// How long an order may take to settle
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    #[command(flatten)]
    jaeger: JaegerOption,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    orders: Vec<OrderWithTrace<'a>>,
    /// The trace that has the most to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderWithTrace<'a> {
    #[serde(flatten)]
    order: &'a FollowedOrder,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_url: Option<String>,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let found = self.stack.find(&progress)?;
        // It asks for each order many times a second.
        let gateway = self.stack.gateway(found.as_ref())?.without_traces_of_reads();
        let jaeger = self.jaeger.of(found.as_ref());
        let orders = demo::run(&gateway, Duration::from_secs(self.timeout), &progress).await?;
        let mut output = stdout();
        if self.json {
            serde_json::to_writer_pretty(&mut output, &Report::new(&orders, jaeger.as_ref()))?;
            writeln!(output)?;
        } else {
            writeln!(output, "{}", demo::render(&orders, jaeger.as_ref()))?;
        }
        let wrong: Vec<String> = orders
            .iter()
            .filter_map(|order| Some(format!("{}: {}", order.kind.name(), order.problem.as_ref()?)))
            .collect();
        let (number, of) = (wrong.len(), orders.len());
        anyhow::ensure!(wrong.is_empty(), "{number} of {of} orders went wrong\n  {}", wrong.join("\n  "));
        Ok(())
    }
}

impl<'a> Report<'a> {
    fn new(orders: &'a [FollowedOrder], jaeger: Option<&JaegerUrl>) -> Self {
        let page = |order: &FollowedOrder| order.trace_page(jaeger?);
        let cancelled = orders.iter().find(|order| order.kind == Kind::CancelledAfterPaid);
        Self {
            orders: orders.iter().map(|order| OrderWithTrace { order, trace_url: page(order) }).collect(),
            trace_url: cancelled.and_then(page),
        }
    }
}
