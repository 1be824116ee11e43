//! The command line: one file a subcommand.

mod bench;
mod check;
mod convert_queues;
mod definitions;
mod demo;
mod failed;
mod infrastructure_urls;
mod jaeger_option;
mod key;
mod listing;
mod order;
mod pki;
mod privacy;
mod prune;
mod refunds;
mod running_stack;
mod top;
mod up;

use clap::{Parser, Subcommand};

/// An order/payment saga on RabbitMQ and PostgreSQL: run it, watch it, repair it.
#[derive(Debug, Parser)]
#[command(name = "paysaga", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on this machine and keep it running until Ctrl-C
    Up(up::Up),
    /// Show how orders and payments are doing, now and in the last hour
    Top(top::Top),
    /// Place orders of every kind against a running stack and follow each until it settles
    Demo(demo::Demo),
    /// Show one order: where order and payment stand, what happened when, and where its trace can be seen
    Order(order::ShowOrder),
    /// Measure a running stack: time to settle, throughput, and what batching brings
    Bench(bench::Bench),
    /// Prove on live data that nothing is lost, charged twice or stuck
    Check(check::Check),
    /// What RabbitMQ is to have: exchanges, queues and what each service may do, as it imports it
    Definitions(definitions::PrintDefinitions),
    /// Messages that no service could handle: their causes; list, show, edit, replay, discard
    Failed(failed::Failed),
    /// API keys: make, replace, revoke, list
    Key(key::Key),
    /// Certificates for the services, RabbitMQ and PostgreSQL, for those who have no authority of their own
    Pki(pki::Pki),
    /// Print everything that is kept about a customer
    Export(privacy::Export),
    /// Take a customer out of everything that is kept, and leave the books as they are
    Erase(privacy::Erase),
    /// Delete what was kept for long enough
    Prune(prune::Prune),
    /// Money that is owed to customers: list it, decide about refunds that the provider refused
    Refunds(refunds::Refunds),
    /// Make the classic queues of the NestJS services quorum queues, or quorum queues classic, and lose nothing
    ConvertQueues(convert_queues::ConvertQueues),
}

impl Cli {
    /// Runs the subcommand. An error is printed for the operator.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Up(up) => up.run().await,
            Command::Top(top) => top.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Order(order) => order.run().await,
            Command::Bench(bench) => bench.run().await,
            Command::Check(check) => check.run().await,
            Command::Definitions(definitions) => definitions.run(),
            Command::Failed(failed) => failed.run().await,
            Command::Key(key) => key.run().await,
            Command::Pki(pki) => pki.run(),
            Command::Export(export) => export.run().await,
            Command::Erase(erase) => erase.run().await,
            Command::Prune(prune) => prune.run().await,
            Command::Refunds(refunds) => refunds.run().await,
            Command::ConvertQueues(convert_queues) => convert_queues.run().await,
        }
    }
}
