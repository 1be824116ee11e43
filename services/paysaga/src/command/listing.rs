//! What commands that list something have in common.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use crate::gateway::Paging;
use crate::output::stdout;

/// How much of a list, and in which form.
#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// Most of them, of each service where several have some, from 1 to 100
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    limit: u64,
    /// Page, from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    page: u64,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

impl ListOptions {
    pub(super) const fn paging(&self) -> Paging {
        Paging { page: self.page, limit: self.limit }
    }

    /// Prints items: as JSON, or as `render` draws them (nothing if there are none) with a sentence about them below.
    pub(super) fn print<T: Serialize>(
        &self,
        items: &[T],
        render: impl Fn(&[T]) -> String,
        summary: &str,
    ) -> anyhow::Result<()> {
        if self.json {
            return print_json(&items);
        }
        let mut output = stdout();
        if !items.is_empty() {
            writeln!(output, "{}\n", render(items))?;
        }
        writeln!(output, "{summary}")?;
        Ok(())
    }
}

/// Prints something as JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut output = stdout();
    serde_json::to_writer_pretty(&mut output, value)?;
    writeln!(output)?;
    Ok(())
}
