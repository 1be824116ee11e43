//! `paysaga bench`: a running stack in numbers.

use std::io::{Write, stdout};
use std::time::Duration;

use chassis::open_files;
use clap::Args;
use clap::builder::{RangedU64ValueParser, StringValueParser, TypedValueParser};
use serde::Serialize;

use super::running_stack::StackOptions;
use crate::bench::open_loop::{self, Bound, MeasuredStack, RatePlan, Run};
use crate::bench::{self, Plan};
use crate::forced_outcome::ForcedOutcome;
use crate::gateway::{Gateway, GatewayUrl};
use crate::progress::Progress;

/// Measures a running stack.
///
/// Without --rate and --find-max: how long a single order takes to settle, how many orders a second are accepted and settled,
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
    #[command(flatten)]
    open_loop: OpenLoop,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten)]
    stack: StackOptions,
}

/// The options for orders at a rate.
#[derive(Debug, Args)]
#[command(next_help_heading = "At a rate")]
struct OpenLoop {
    /// Send so many orders a second, answered or not; times count from when an order is due
    #[arg(long, value_name = "ORDERS", value_parser = rate(), conflicts_with_all = ["find_max", "single", "orders", "concurrency"])]
    rate: Option<f64>,
    /// Find the highest rate at which nothing is refused, the backlog does not grow, and 99 % settle in time
    #[arg(long, conflicts_with_all = ["single", "orders", "concurrency"])]
    find_max: bool,
    /// For how long orders are sent at each rate
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = at_least_a_second())]
    duration: Duration,
    /// Within which 99 % of the orders must settle, for --find-max
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = humantime::parse_duration)]
    settle_within: Duration,
    /// Measure another stack in turn with this one, for --rate: its gateway's address
    #[arg(long, value_name = "URL", requires = "rate")]
    against: Option<GatewayUrl>,
    /// How often each of the two is measured
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one(), requires = "against")]
    rounds: u32,
}

fn at_least_one() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..)
}

fn at_least_a_second() -> impl TypedValueParser<Value = Duration> {
    StringValueParser::new().try_map(|text| {
        let time = humantime::parse_duration(&text).ok().filter(|time| *time >= Duration::from_secs(1));
        time.ok_or("must be a time of at least 1s, such as 20s")
    })
}

/// A number of orders a second.
fn rate() -> impl TypedValueParser<Value = f64> {
    StringValueParser::new().try_map(|text| {
        let rate = text.parse().ok().filter(|rate| (0.1..=100_000.0).contains(rate));
        rate.ok_or("must be a number of orders a second from 0.1 to 100000")
    })
}

impl Bench {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let gateway = self.stack.connect(&progress)?;
        // Each request that waits for its answer has a connection.
        open_files::raise_limit();
        if cfg!(debug_assertions) {
            progress.message("This is a debug build: its numbers are not those of a release build. See paysaga bench --help.");
        }
        if let Some(rate) = self.open_loop.rate {
            let runs = self.at_rate(&gateway, rate, &progress).await?;
            return if self.json { print_json(&runs) } else { print(&open_loop::render(&runs)) };
        }
        if self.open_loop.find_max {
            let (plan, settle_p99) = (self.rate_plan(0.0), self.open_loop.settle_within);
            let search = open_loop::find_max(&gateway, &plan, Bound { settle_p99 }, &progress).await?;
            return if self.json { print_json(&search) } else { print(&open_loop::render_search(&search)) };
        }
        let plan = Plan {
            single: self.single,
            orders: self.orders,
            concurrency: self.concurrency,
            kinds: self.kinds,
            timeout: Duration::from_secs(self.timeout),
        };
        let report = bench::run(&gateway, &plan, &progress).await?;
        if self.json { print_json(&report) } else { print(&bench::render(&report)) }
    }

    /// Measures the stack at a rate, in turn with the other one if there is one.
    async fn at_rate(&self, gateway: &Gateway, rate: f64, progress: &Progress) -> anyhow::Result<Vec<Run>> {
        let plan = self.rate_plan(rate);
        let Some(other) = &self.open_loop.against else {
            let report = open_loop::run(gateway, &plan, progress).await?;
            return Ok(vec![Run { stack: MeasuredStack::This, report }]);
        };
        let against = self.stack.gateway_at(other.clone())?;
        let mut runs = Vec::new();
        for _ in 0..self.open_loop.rounds {
            for (stack, gateway) in [(MeasuredStack::This, gateway), (MeasuredStack::Other, &against)] {
                runs.push(Run { stack, report: open_loop::run(gateway, &plan, progress).await? });
            }
        }
        Ok(runs)
    }

    fn rate_plan(&self, rate: f64) -> RatePlan {
        RatePlan {
            rate,
            duration: self.open_loop.duration,
            kinds: self.kinds.clone(),
            timeout: Duration::from_secs(self.timeout),
        }
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout().lock(), "{text}")?)
}

fn print_json(result: &impl Serialize) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    serde_json::to_writer_pretty(&mut output, result)?;
    Ok(writeln!(output)?)
}
