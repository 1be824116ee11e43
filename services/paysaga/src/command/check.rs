//! `paysaga check`: the auditor.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chassis::broker::BrokerUrl;
use clap::Args;
use contracts::audit_chain::ChainHead;
use contracts::topology::Service;
use local_stack::stack::plan::InfrastructureUrls;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::infrastructure_urls::InfrastructureOptions;
use super::running_stack::StackOptions;
use crate::audit::databases::Databases;
use crate::audit::trail::add_trail;
use crate::audit::{self, Report};
use crate::output::stdout;
use crate::progress::Progress;

/// Proves on live data that no order is stuck, no money is held that should not be, and both services and the
/// provider's books agree. Fails, and names the invariant, if something is wrong.
///
/// Asks the gateway unless the databases are given, or known because the stack runs in this directory. With the databases
/// it also sees the outboxes, the simulated provider's books, and whether the maintained counters are right; with RabbitMQ,
/// the messages in the queues. It follows the chain of the audit in the order database from its first record to its last.
#[derive(Debug, Args)]
#[command(after_help = "The invariants are explained in docs/INVARIANTS.md.")]
pub(super) struct Check {
    /// What changed less than this long ago may still change (such as 90s or 5m)
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Everything should have settled: whatever has not is wrong (a grace of 0)
    #[arg(long, conflicts_with = "grace")]
    settled: bool,
    /// A former end of the audit's chain, as the log of the order service has it: that record must still be there, and so must
    /// all before it. Can be given several times
    #[arg(long, value_name = "NUMBER:HASH")]
    audit_head: Vec<ChainHead>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    // Last: the headings they bring hold for everything after them.
    #[command(flatten, next_help_heading = "Databases and broker, to look behind the gateway")]
    infrastructure: InfrastructureOptions,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Serialize)]
struct Result<'a> {
    ok: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Check {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let report = self.audit(&Progress::new()).await?;
        let mut output = stdout();
        if self.json {
            serde_json::to_writer_pretty(&mut output, &Result { ok: report.is_clean(), report: &report })?;
            writeln!(output)?;
        } else {
            writeln!(output, "{}", audit::render(&report))?;
        }
        let (wrong, orders) = (report.findings.len(), report.orders);
        ensure!(report.is_clean(), "{wrong} findings among {orders} orders");
        Ok(())
    }

    async fn audit(&self, progress: &Progress) -> anyhow::Result<Report> {
        let mut urls = self.infrastructure.read()?;
        let mut found = None;
        if urls.order_database_url.is_none() && urls.payment_database_url.is_none() {
            found = self.stack.find(progress)?;
        } else if self.stack.names_directory() {
            bail!("--directory can't be used with the URL of a database, which may be another stack's");
        }
        if let Some(stack) = &found {
            let broker = urls.rabbitmq_url.replace(stack.rabbitmq_url.clone());
            // The variable may well be exported for another stack.
            ensure!(
                broker.is_none_or(|broker| broker == stack.rabbitmq_url),
                "--rabbitmq-url (or RABBITMQ_URL) is not the broker of the stack that runs in this directory; \
                 leave it out, or name another stack with its databases or --gateway"
            );
            urls = InfrastructureUrls::from(stack.clone());
        }
        let grace = if self.settled { Duration::ZERO } else { self.grace };
        let step = progress.step("check");
        let mut report = match (urls.order_database_url, urls.payment_database_url) {
            (Some(orders), Some(payments)) => {
                let mut databases = Databases {
                    orders: connect(Service::Order, &orders).await?,
                    payments: connect(Service::Payment, &payments).await?,
                };
                let mut report = audit::databases::audit(&mut databases, grace).await?;
                let added = add_trail(&mut databases.orders, &self.audit_head, &mut report).await;
                added.context("the audit's records can't be read")?;
                report
            }
            (None, None) if !self.audit_head.is_empty() => {
                bail!(
                    "--audit-head needs the databases: give --order-database-url and --payment-database-url"
                )
            }
            (None, None) => audit::gateway_pages::audit(&self.stack.gateway(found.as_ref())?, grace).await?,
            (Some(_), None) => bail!("--order-database-url needs --payment-database-url beside it"),
            (None, Some(_)) => bail!("--payment-database-url needs --order-database-url beside it"),
        };
        if let Some(url) = urls.rabbitmq_url {
            let url: BrokerUrl = url.parse().map_err(|error| anyhow::anyhow!("--rabbitmq-url {error}"))?;
            let added = audit::backlog::add_queues(&url, grace, &mut report).await;
            added.map_err(|error| anyhow::anyhow!("cannot look at the queues: {error}"))?;
        }
        step.done(&format!("{} orders", report.orders));
        Ok(report)
    }
}

async fn connect(service: Service, url: &str) -> anyhow::Result<PgConnection> {
    PgConnection::connect(url).await.with_context(|| format!("cannot connect to the {service} database"))
}
