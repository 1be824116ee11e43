//! `./dev faults`: runs the fault suite and writes its results.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use local_stack::installation::{Installation, RootError};
use local_stack::interrupts::Interrupts;
use tests::faults::report::{Run, page};
use tests::faults::rig::Programs;
use tests::faults::run::{Scenario, run};
use tests::faults::servers::Servers;
use tests::faults::{scenarios, table};

/// Breaks everything that can break under the running services, and shows that no order is lost, none is charged
/// twice, and none is stuck.
#[derive(Debug, Parser)]
struct Options {
    /// Seed of everything random [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Run only the scenarios whose names contain this; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Only those of the short form
    #[arg(long)]
    short: bool,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Which servers: 1 those of this machine, 2 those of ./dev generation-2 (RabbitMQ 4.0, PostgreSQL 17; as root)
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u8).range(1..=2))]
    generation: u8,
    /// Write the table to this file, as Markdown
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// The folder of the services' programs
    #[arg(long, value_name = "FOLDER", default_value = "target/debug")]
    programs: PathBuf,
    /// The folder of the services' programs with failpoints
    #[arg(long, value_name = "FOLDER", default_value = "target/failpoints")]
    failpoints: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|text| name.contains(text));
    let mut scenarios = scenarios::all();
    let form = |scenario: &Scenario| if options.short { scenario.short } else { scenario.long };
    scenarios.retain(|scenario| form(scenario) && wanted(&scenario.name));
    if options.list {
        for scenario in &scenarios {
            println!("{}", scenario.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let seed = options.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("seed {seed}");
    let started = Instant::now();
    let mut interrupts = Interrupts::listen()?;
    let installation = installation(options.generation)?;
    let programs = Programs { plain: options.programs, failpoints: Some(options.failpoints) };
    let mut servers = Servers::start(&installation).await?;
    let versions = servers.versions().await?;
    println!("{versions}");
    let mut rows = Vec::new();
    for scenario in &scenarios {
        if scenario.nodes != servers.nodes() {
            servers.stop().await?;
            servers = Servers::start_cluster(&installation, scenario.nodes).await?;
        }
        let row = tokio::select! {
            row = run(scenario, &mut servers, &programs, seed) => row,
            () = interrupts.next() => {
                servers.stop().await?;
                anyhow::bail!("interrupted in the middle of: {}", scenario.name);
            }
        };
        rows.push(row);
        // After each one, so that an interrupted run leaves its results.
        if let Some(file) = &options.write {
            let time = started.elapsed();
            std::fs::write(file, page(&Run { rows: &rows, seed, versions: &versions, time }))?;
        }
    }
    servers.stop().await?;
    println!("\n{}\n\nseed {seed}", table::plain(&rows));
    let good = rows.iter().all(|row| row.outcome.is_good());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The servers of a generation.
fn installation(generation: u8) -> Result<Installation, RootError> {
    if generation == 2 { Installation::generation_2() } else { Ok(Installation::of_this_machine()) }
}
