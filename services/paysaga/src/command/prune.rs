//! `paysaga prune`: deletes what was kept for long enough, as the services do by themselves where `RETENTION_*` is set.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use chassis::retention::{self, Mode, Policy, Records};
use clap::Args;
use contracts::topology::Service;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use super::infrastructure_urls::DatabaseOptions;
use super::running_stack::stack_in;
use crate::output::stdout;
use crate::progress::Progress;
use crate::table;

/// Deletes what was kept for long enough, in small batches beside the running services, and prints how many rows that were.
///
/// What is not named is not touched. Orders, payments, idempotency keys, marks of early cancellations and failed messages
/// that wait for a decision are never deleted.
#[derive(Debug, Args)]
#[command(
    after_help = "The services do the same every few hours where RETENTION_* is set. docs/OPERATIONS.md lists what grows, and what stays."
)]
pub(super) struct Prune {
    /// Only print how many rows would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    keep: Keep,
    /// Data directory of the `paysaga up` whose databases they are, if no URL is given [default:
    /// `PAYSAGA_HOME`, else .paysaga]
    #[arg(long, value_name = "PATH", help_heading = "Which databases")]
    directory: Option<PathBuf>,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten, next_help_heading = "Which databases")]
    databases: DatabaseOptions,
}

/// For how long what is kept.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Keep {
    /// Delete the timelines of orders that settled longer ago (such as 90d)
    #[arg(long, value_name = "TIME", env = "RETENTION_TIMELINE", value_parser = retention::parse)]
    timeline: Option<Duration>,
    /// Delete failed messages that were replayed or discarded longer ago, and replays that ended longer ago
    #[arg(long, value_name = "TIME", env = "RETENTION_FAILED_MESSAGES", value_parser = retention::parse)]
    failed_messages: Option<Duration>,
    /// Delete the simulated provider's charges that hold no money, of payments that came to their end longer ago
    #[arg(long, value_name = "TIME", env = "RETENTION_SIMULATED_CHARGES", value_parser = retention::parse)]
    simulated_charges: Option<Duration>,
}

impl Keep {
    fn policies(&self) -> impl Iterator<Item = Policy> {
        let policies = [
            (Records::TimelineEntries, self.timeline),
            (Records::FailedMessages, self.failed_messages),
            (Records::Replays, self.failed_messages),
            (Records::Rejections, self.failed_messages),
            (Records::SimulatedCharges, self.simulated_charges),
        ];
        policies.into_iter().filter_map(|(records, keep)| Some(Policy { records, keep: keep? }))
    }
}

impl Prune {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let urls = self.urls()?;
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Delete };
        let count = if self.dry_run { "would be deleted" } else { "deleted" };
        let mut table = table::with_header(["service", "records", count]);
        for (service, url) in urls {
            let pool = connect(service, &url).await?;
            for policy in self.keep.policies().filter(|policy| policy.records.services().contains(&service)) {
                let step = progress.step(&format!("{service}: {}", policy.records.name()));
                let rows = retention::pass(&pool, policy, mode, &CancellationToken::new()).await;
                let rows = rows.with_context(|| format!("cannot prune the {service} database"))?;
                step.done(&format!("{rows}"));
                table.add_row([
                    service.name().to_owned(),
                    policy.records.name().to_owned(),
                    rows.to_string(),
                ]);
            }
        }
        writeln!(stdout(), "{}", table.trim_fmt())?;
        Ok(())
    }

    /// The databases that were given, else those of the stack that runs in the directory.
    fn urls(&self) -> anyhow::Result<Vec<(Service, String)>> {
        let mut given = Vec::new();
        for service in Service::WITH_DATABASE {
            given.extend(self.databases.url(service)?.map(|url| (service, url)));
        }
        if given.is_empty() {
            let stack = stack_in(self.directory.as_deref(), "give the URLs of the databases")?;
            return Ok(vec![
                (Service::Order, stack.order_database_url),
                (Service::Payment, stack.payment_database_url),
            ]);
        }
        ensure!(self.directory.is_none(), "--directory can't be used with the URL of a database");
        Ok(given)
    }
}

async fn connect(service: Service, url: &str) -> anyhow::Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await;
    pool.with_context(|| format!("cannot connect to the {service} database"))
}
