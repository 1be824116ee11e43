//! `paysaga bench`: a running stack in numbers.

use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use chassis::open_files;
use clap::Args;
use clap::builder::{RangedU64ValueParser, StringValueParser, TypedValueParser};
use local_stack::RunningStack;
use serde::Serialize;

use super::listing::print_json;
use super::running_stack::{StackOptions, read_key};
use crate::bench::open_loop::{self, Bound, MeasuredStack, RatePlan, Run, Search};
use crate::bench::{self, Ceilings, Plan};
use crate::forced_outcome::ForcedOutcome;
use crate::gateway::{Gateway, GatewayUrl};
use crate::progress::Progress;

/// Measures a running stack.
///
/// Without --rate and --find-max: how long a single order takes to settle, how many orders a second are accepted and settled,
/// and how much faster that is many at once than one at a time. Fails if an accepted order does not settle.
#[derive(Debug, Args)]
#[command(
    after_help = "The simulated provider bounds what can be settled: PROVIDER_CONCURRENCY charges at once (1000 unless \
                  set) that take PROVIDER_LATENCY_MS each (100 unless set) are 10000 a second. To measure paysaga \
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

/// What is printed of runs at a rate.
#[derive(Serialize)]
struct AtRate {
    runs: Vec<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ceilings: Option<Ceilings>,
}

/// What is printed of searches for the highest rate.
#[derive(Serialize)]
struct HighestRates {
    searches: Vec<Search>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ceilings: Option<Ceilings>,
}

/// The options for orders at a rate.
#[derive(Debug, Args)]
#[command(next_help_heading = "At a rate")]
struct OpenLoop {
    /// Send so many orders a second, answered or not; times count from when an order is due
    #[arg(long, value_name = "ORDERS", value_parser = rate(), group = "open", conflicts_with_all = ["single", "orders", "concurrency"])]
    rate: Option<f64>,
    /// Find the highest rate at which nothing is refused, the backlog does not grow, and 99 % settle in time; a rate is tried twice before it counts as missed
    #[arg(long, group = "open", conflicts_with_all = ["single", "orders", "concurrency"])]
    find_max: bool,
    /// For how long orders are sent at each rate
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = at_least_a_second())]
    duration: Duration,
    /// Within which 99 % of the orders must settle, for --find-max
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = humantime::parse_duration)]
    settle_within: Duration,
    /// Measure the servers alone, too: commits, rows and confirmed messages a second. Only of a stack that runs in --directory
    #[arg(long, requires = "open", conflicts_with = "against")]
    ceilings: bool,
    /// Measure another stack in turn with this one: its gateway's address
    #[arg(long, value_name = "URL", requires = "open")]
    against: Option<GatewayUrl>,
    /// File that holds an API key of that other gateway, if it asks for one
    #[arg(long, value_name = "PATH", requires = "against")]
    against_api_key_file: Option<PathBuf>,
    /// Measure once more while another caller floods the gateway: file that holds the other's API key. The one that is measured
    /// (--api-key-file) must be a client's as well, without admin:read: an operator sees the orders of both
    #[arg(long, value_name = "PATH", requires = "rate", conflicts_with = "against")]
    flood_api_key_file: Option<PathBuf>,
    /// Write a picture of what came, settled and waited, and of how long it took, over time, for --rate
    #[arg(long, value_name = "FILE", requires = "rate")]
    svg: Option<PathBuf>,
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
        let found = self.stack.find(&progress)?;
        let gateway = self.stack.gateway(found.as_ref())?.without_traces_of_reads();
        // Each request that waits for its answer has a connection.
        open_files::raise_limit();
        if cfg!(debug_assertions) {
            progress.message("This is a debug build: its numbers are not those of a release build. See paysaga bench --help.");
        }
        ensure!(
            found.is_some() || !self.open_loop.ceilings,
            "--ceilings needs a stack that `paysaga up` runs in --directory: only then the servers are known"
        );
        if let Some(rate) = self.open_loop.rate {
            let runs = self.at_rate(&gateway, rate, &progress).await?;
            if let Some(file) = &self.open_loop.svg {
                let svg = open_loop::chart(&runs)?;
                fs::write(file, svg).with_context(|| format!("{} can't be written", file.display()))?;
            }
            let ceilings = self.ceilings(found.as_ref(), &progress).await?;
            return self.show(&open_loop::render(&runs), ceilings, &AtRate { runs, ceilings });
        }
        if self.open_loop.find_max {
            let searches = self.highest_rates(&gateway, &progress).await?;
            let ceilings = self.ceilings(found.as_ref(), &progress).await?;
            let table = open_loop::render_searches(&searches);
            return self.show(&table, ceilings, &HighestRates { searches, ceilings });
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

    /// What the servers of the stack can do, if that is asked for.
    async fn ceilings(
        &self,
        found: Option<&RunningStack>,
        progress: &Progress,
    ) -> anyhow::Result<Option<Ceilings>> {
        let Some(stack) = found.filter(|_| self.open_loop.ceilings) else { return Ok(None) };
        let owner = stack.order_owner_database_url.as_ref().unwrap_or(&stack.order_database_url);
        let measured = Ceilings::measure(owner, &stack.rabbitmq_url, progress).await;
        Ok(Some(measured.context("the servers can't be measured")?))
    }

    /// Prints a result, as a table or as JSON.
    fn show(&self, table: &str, ceilings: Option<Ceilings>, result: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            return print_json(result);
        }
        match ceilings {
            Some(ceilings) => print(&format!("{table}\n{}", ceilings.render())),
            None => print(table),
        }
    }

    /// Measures the stack at a rate, in turn with the other one if there is one.
    async fn at_rate(&self, gateway: &Gateway, rate: f64, progress: &Progress) -> anyhow::Result<Vec<Run>> {
        let plan = self.rate_plan(rate);
        let mut runs = Vec::new();
        for (stack, gateway) in self.in_turn(gateway)? {
            runs.push(Run { stack, report: open_loop::run(&gateway, &plan, progress).await? });
        }
        if let Some(file) = &self.open_loop.flood_api_key_file {
            let flooding = gateway.with_key(read_key(Some(file))?);
            let run = open_loop::run(gateway, &plan, progress);
            let report = bench::flood::beside(&flooding, run, progress).await?;
            runs.push(Run { stack: MeasuredStack::Flooded, report });
        }
        Ok(runs)
    }

    /// Finds the highest rate of the stack, in turn with the other one if there is one.
    async fn highest_rates(&self, gateway: &Gateway, progress: &Progress) -> anyhow::Result<Vec<Search>> {
        let (plan, bound) = (self.rate_plan(0.0), Bound { settle_p99: self.open_loop.settle_within });
        let mut searches = Vec::new();
        for (stack, gateway) in self.in_turn(gateway)? {
            searches.push(open_loop::find_max(stack, &gateway, &plan, bound, progress).await?);
        }
        Ok(searches)
    }

    /// The stacks in the order in which they are measured.
    fn in_turn(&self, gateway: &Gateway) -> anyhow::Result<Vec<(MeasuredStack, Gateway)>> {
        let this = (MeasuredStack::This, gateway.clone());
        let Some(other) = &self.open_loop.against else { return Ok(vec![this]) };
        let key = read_key(self.open_loop.against_api_key_file.as_deref())?;
        let other = (MeasuredStack::Other, Gateway::new(other.clone(), key)?);
        let pair = [this, other];
        Ok(pair.iter().cycle().take(pair.len() * self.open_loop.rounds as usize).cloned().collect())
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
