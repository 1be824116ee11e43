//! `paysaga bench`: a running stack in numbers.

use std::io::{Write, stdout};
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::running_stack::StackOptions;
use crate::bench::{self, Plan};
use crate::forced_outcome::ForcedOutcome;
use crate::progress::Progress;

/// Measures a running stack: how long a single order takes to settle, how many orders a second are accepted and settled,
/// and how much faster that is many at once than one at a time. Fails if an accepted order does not settle.
#[derive(Debug, Args)]
#[command(
    after_help = "The simulated provider bounds what can be settled: PROVIDER_CONCURRENCY charges at once (64 unless \
                  set) that take PROVIDER_LATENCY_MS each (100 unless set) are 640 a second. To measure paysaga \
                  itself: PROVIDER_LATENCY_MS=0 paysaga up, of a release build. Nothing is made faster for the \
                  measurement: the private servers run with fsync, synchronous commits and quorum queues, as always."
)]
pub(super) struct Bench {
    /// Single orders to time, one after the other
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one())]
    single: u32,
    /// Orders to send, first one at a time, then at once
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = at_least_one())]
    orders: u32,
    /// Concurrent requests
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = at_least_one())]
    concurrency: u32,
    /// What the provider is made to do with the orders, each at random
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',', default_value = "approved")]
    kinds: Vec<ForcedOutcome>,
    /// How long orders may take to settle after the last was accepted
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten)]
    stack: StackOptions,
}

fn at_least_one() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..)
}

impl Bench {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let gateway = self.stack.connect(&progress)?;
        let plan = Plan {
            single: self.single,
            orders: self.orders,
            concurrency: self.concurrency,
            kinds: self.kinds,
            timeout: Duration::from_secs(self.timeout),
        };
        if cfg!(debug_assertions) {
            progress.message("This is a debug build: its numbers are not those of a release build. See paysaga bench --help.");
        }
        let report = bench::run(&gateway, &plan, &progress).await?;
        let mut output = stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut output, &report)?;
            writeln!(output)?;
        } else {
            writeln!(output, "{}", bench::render(&report))?;
        }
        Ok(())
    }
}
