//! `paysaga demo`: orders of every kind, followed until they settle.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use serde::Serialize;

use super::running_stack::StackOptions;
use crate::demo::{self, FollowedOrder, Kind};
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
    /// Address of Jaeger's pages, to print where a trace can be seen [default: that of the stack that runs in --directory]
    #[arg(long, value_name = "URL")]
    jaeger: Option<Url>,
    /// How long an order may take to settle
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    orders: &'a [FollowedOrder],
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_url: Option<String>,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let found = self.stack.find(&progress)?;
        let gateway = self.stack.gateway(found.as_ref())?;
        let jaeger = self.jaeger.or_else(|| found?.jaeger_url?.parse().ok());
        let orders = demo::run(&gateway, Duration::from_secs(self.timeout), &progress).await?;
        let trace_url = jaeger.and_then(|jaeger| trace_url(&jaeger, &orders));
        let mut output = stdout();
        if self.json {
            serde_json::to_writer_pretty(&mut output, &Report { orders: &orders, trace_url })?;
            writeln!(output)?;
        } else {
            writeln!(output, "{}", demo::render(&orders))?;
            if let Some(url) = trace_url {
                writeln!(output, "\nThe order that was cancelled after it was paid, as one trace: {url}")?;
            }
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

/// The page of the trace that has the most to show.
fn trace_url(jaeger: &Url, orders: &[FollowedOrder]) -> Option<String> {
    let order = orders.iter().find(|order| order.kind == Kind::CancelledAfterPaid)?;
    Some(format!("{}/trace/{}", jaeger.as_str().trim_end_matches('/'), order.trace.as_ref()?))
}
