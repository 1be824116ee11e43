//! `paysaga failed causes`: what messages that wait for a decision failed for.

use std::io::Write;

use clap::Args;
use contracts::replay::FailureCause;
use contracts::topology::Service;
use serde::Serialize;

use super::which::{service_names, services};
use crate::command::listing::print_json;
use crate::command::running_stack::StackOptions;
use crate::output::stdout;
use crate::progress::Progress;
use crate::table;

#[derive(Debug, Args)]
pub(super) struct Causes {
    /// Of this service [default: both]
    #[arg(long, value_parser = service_names())]
    service: Option<Service>,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    service: &'static str,
    #[serde(flatten)]
    cause: FailureCause,
}

impl Causes {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let mut listed = Vec::new();
        for service in services(self.service) {
            let causes = gateway.failure_causes(service).await?.data.into_iter();
            listed.extend(causes.map(|cause| Listed { service: service.name(), cause }));
        }
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.cause.open));
        if self.json {
            return print_json(&listed);
        }
        let mut output = stdout();
        if !listed.is_empty() {
            writeln!(output, "{}\n", render(&listed))?;
        }
        let messages: u64 = listed.iter().map(|listed| listed.cause.open).sum();
        writeln!(output, "{messages} messages of {} causes wait for a decision", listed.len())?;
        Ok(())
    }
}

fn render(listed: &[Listed]) -> String {
    let header = ["messages", "new", "orders", "money", "queue", "type", "last seen", "cause"];
    let mut table = table::with_header(header);
    for Listed { cause, .. } in listed {
        table.add_row([
            cause.open.to_string(),
            cause.new.to_string(),
            cause.orders.to_string(),
            cause.money.to_string(),
            cause.queue.clone(),
            cause.event_type.clone().unwrap_or_else(|| "–".to_owned()),
            cause.last_seen.to_string(),
            cause.cause.clone(),
        ]);
    }
    table.trim_fmt()
}
