//! `paysaga check`: the auditor.

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chassis::broker::BrokerUrl;
use clap::Args;
use contracts::topology::Service;
use local_stack::stack::plan::Given;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::gateway::GatewayOptions;
use super::given::GivenInfrastructure;
use crate::audit::databases::Databases;
use crate::audit::{self, Report};
use crate::progress::Progress;

/// Proves on live data that no order is stuck, no money is held that should not be, and both services and the
/// provider's books agree. Fails, and names the invariant, if something is wrong.
///
/// Asks the gateway unless the databases are given. With the databases it also sees the outboxes, what the simulated
/// provider has on its books, and whether the maintained counters are true; with RabbitMQ, what waits in the queues.
#[derive(Debug, Args)]
#[command(after_help = "The invariants are explained in docs/INVARIANTS.md.")]
pub(super) struct Check {
    /// What changed less than this long ago may still be on its way (such as 90s or 5m)
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Nothing is on its way any more: whatever has not settled is wrong (a grace of 0)
    #[arg(long, conflicts_with = "grace")]
    settled: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    // Last: the headings they bring hold for everything after them.
    #[command(flatten, next_help_heading = "Databases and broker, to look behind the gateway")]
    given: GivenInfrastructure,
    #[command(flatten)]
    gateway: GatewayOptions,
}

#[derive(Serialize)]
struct Result<'a> {
    ok: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Check {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let grace = if self.settled { Duration::ZERO } else { self.grace };
        let report = audit(self.given.read()?, &self.gateway, grace).await?;
        let mut output = stdout().lock();
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
}

async fn audit(given: Given, gateway: &GatewayOptions, grace: Duration) -> anyhow::Result<Report> {
    let step = Progress::new().step("check");
    let mut report = match (given.order_database_url, given.payment_database_url) {
        (Some(orders), Some(payments)) => databases(&orders, &payments, grace).await?,
        (None, None) => audit::gateway_pages::audit(&gateway.client()?, grace).await?,
        (Some(_), None) => bail!("--order-database-url needs --payment-database-url beside it"),
        (None, Some(_)) => bail!("--payment-database-url needs --order-database-url beside it"),
    };
    if let Some(url) = given.rabbitmq_url {
        let url: BrokerUrl = url.parse().map_err(|error| anyhow::anyhow!("--rabbitmq-url {error}"))?;
        let looked = audit::backlog::add_queues(&url, grace, &mut report).await;
        looked.map_err(|error| anyhow::anyhow!("cannot look at the queues: {error}"))?;
    }
    step.done(&format!("{} orders", report.orders));
    Ok(report)
}

async fn databases(orders: &str, payments: &str, grace: Duration) -> anyhow::Result<Report> {
    let connect = async |service: Service, url: &str| {
        PgConnection::connect(url).await.with_context(|| format!("cannot connect to the {service} database"))
    };
    let mut databases = Databases {
        orders: connect(Service::Order, orders).await?,
        payments: connect(Service::Payment, payments).await?,
    };
    Ok(audit::databases::audit(&mut databases, grace).await?)
}
