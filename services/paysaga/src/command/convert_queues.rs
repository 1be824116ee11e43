//! `paysaga convert-queues`: from classic queues to quorum queues, and back.

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, anyhow};
use chassis::broker::{BrokerUrl, QueueType, convert_queues};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use contracts::topology::{Queue, Service};

use super::infrastructure_urls::BrokerOptions;

/// Deletes the queues that a service consumes, with their dead-letter queues, and declares them anew with other arguments.
/// Loses no message: what is published meanwhile, and what was in them, is kept in queues beside them and moved over.
///
/// The service must be stopped, every replica of it; the others go on. A conversion that was interrupted is completed by
/// running it again.
///
/// The RabbitMQ user needs all permissions, and the tag `impersonator` where the services have users of their own: messages keep
/// the name of their publisher.
#[derive(Debug, Args)]
#[command(after_help = "When it is needed, and what comes before and after: docs/MIGRATION.md.")]
pub(super) struct ConvertQueues {
    /// The service that consumes them
    #[arg(value_name = "SERVICE", value_parser = service())]
    service: Service,
    /// What they become: quorum, as paysaga declares them, or classic, as the NestJS services do
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(["quorum", "classic"]).map(|name| {
        if name == "quorum" { QueueType::Quorum } else { QueueType::Classic }
    }))]
    to: QueueType,
    /// How long nothing must have come to a queue, and then to the one beside it, before it is deleted. What a process
    /// held that ended without closing its connection comes back after two missed heartbeats (20 seconds).
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    settle: Duration,
    #[command(flatten)]
    broker: BrokerOptions,
}

fn service() -> impl TypedValueParser<Value = Service> {
    let names = Service::WITH_DATABASE.map(Service::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Service>())
}

impl ConvertQueues {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let url = self.broker.url()?.context("name the broker with --rabbitmq-url or RABBITMQ_URL")?;
        let url: BrokerUrl = url.parse().map_err(|error| anyhow!("--rabbitmq-url {error}"))?;
        // A queue that the NestJS services don't know is never theirs.
        let known = |queue: &Queue| self.to == QueueType::Quorum || queue.is_known_to_nestjs();
        let queues: Vec<Queue> = self.service.queues().filter(known).collect();
        let converted = convert_queues(&url, &queues, self.to, self.settle).await?;
        let mut output = stdout().lock();
        for queue in converted {
            match queue.moved {
                Some(moved) => writeln!(output, "{}: converted, {moved} messages moved", queue.name)?,
                None => writeln!(output, "{}: as it should be", queue.name)?,
            }
        }
        Ok(())
    }
}
