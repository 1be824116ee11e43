//! `paysaga top`: the overview in a terminal.

use std::io::{IsTerminal, Write, stdout as standard_output};

use clap::Args;

use super::listing::print_json;
use super::running_stack::StackOptions;
use crate::output::stdout;
use crate::progress::Progress;
use crate::top;

/// How orders and payments are doing, now and in the last hour: rates, times, outcomes, what waits, the provider, what failed.
///
/// q, Esc or Ctrl-C ends it, p pauses it, ? shows what its words mean. Where standard output is no terminal, it prints the
/// overview once. A `!` stands where something wants an operator.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Print it once as text, and end
    #[arg(long)]
    once: bool,
    /// Print it once as JSON, and end
    #[arg(long, conflicts_with = "once")]
    json: bool,
    #[command(flatten)]
    stack: StackOptions,
}

impl Top {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?.without_traces_of_reads();
        if self.json {
            return print_json(&gateway.overview().await?);
        }
        if self.once || !standard_output().is_terminal() {
            let overview = gateway.overview().await?;
            writeln!(stdout(), "{}", top::text(gateway.url(), &overview))?;
            return Ok(());
        }
        top::watch(&gateway).await
    }
}
