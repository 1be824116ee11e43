//! `paysaga failed`: messages that no service could handle.

use std::io::Write;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use contracts::Timestamp;
use contracts::failed_message::{
    FailedMessage, FailedMessageDetails, FailedMessageFilter, FailedMessageStatus, ReplayRequest,
};
use contracts::topology::Service;
use serde::Serialize;
use uuid::Uuid;

use super::listing::{ListOptions, print_json};
use super::running_stack::StackOptions;
use crate::gateway::Gateway;
use crate::output::stdout;
use crate::progress::Progress;
use crate::table;

/// Messages that no service could handle: show them, have them handled again, or discard them.
///
/// Replaying is harmless: a message keeps its event id, and what was done once is not done again.
#[derive(Debug, Args)]
pub(super) struct Failed {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, the one that failed last first
    List(List),
    /// Show one with its headers, its body and what was done about it
    Show(Show),
    /// Have one, or all that fit, handled again
    Replay(Replay),
    /// Discard one, for a reason that is kept
    Discard(Discard),
}

/// Which failed messages.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which messages")]
struct Which {
    /// Of this service [default: both]
    #[arg(long, value_parser = service_names())]
    service: Option<Service>,
    /// That failed on this queue
    #[arg(long)]
    queue: Option<String>,
    /// Of this event type
    #[arg(long = "type", value_name = "EVENT_TYPE")]
    event_type: Option<String>,
    /// Whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// With exactly this cause, as `paysaga failed causes` prints it
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
    /// That failed last at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// That failed last before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

#[derive(Debug, Args)]
struct List {
    /// Their status
    #[arg(long, value_enum, default_value_t = Status::Failed)]
    status: Status,
    #[command(flatten)]
    how: ListOptions,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Show {
    /// The failed message's id
    id: Uuid,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Replay {
    /// The failed message's id
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "Which"])]
    id: Option<Uuid>,
    /// All that wait for a decision and fit what follows
    #[arg(long)]
    all: bool,
    /// Only print how many that are
    #[arg(long, requires = "all")]
    dry_run: bool,
    /// Most messages a second and service [default: as fast as it goes]
    #[arg(long, value_name = "PER_SECOND", requires = "all", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Discard {
    /// The failed message's id
    id: Uuid,
    /// Why it is discarded
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    /// Waiting for a decision
    Failed,
    /// About to be handled again
    Replaying,
    /// Handled after all
    Replayed,
    /// Discarded
    Discarded,
    /// All of these
    Any,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    service: &'static str,
    #[serde(flatten)]
    message: FailedMessage,
}

/// The services that have failed messages.
fn service_names() -> impl TypedValueParser<Value = Service> {
    PossibleValuesParser::new(Service::WITH_DATABASE.map(Service::name))
        .try_map(|name| name.parse::<Service>())
}

impl Failed {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Replay(replay) => replay.run().await,
            Action::Discard(discard) => discard.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let filter = FailedMessageFilter { status: self.status.into(), ..self.which.filter() };
        let (mut listed, mut total) = (Vec::new(), 0);
        for service in self.which.services() {
            let page = gateway.failed_messages(service, &filter, self.how.paging()).await?;
            total += page.meta.total;
            listed.extend(page.data.into_iter().map(|message| Listed { service: service.name(), message }));
        }
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.message.last_seen));
        let summary = format!("{} of {total} failed messages", listed.len());
        self.how.print(&listed, render, &summary)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let (_, details) = find(&self.stack.connect(&Progress::new())?, self.id).await?;
        print_json(&details)
    }
}

impl Replay {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let Some(id) = self.id else { return self.run_all(&gateway).await };
        let (service, _) = find(&gateway, id).await?;
        gateway.replay(service, id).await?;
        writeln!(stdout(), "{id} will be handled again by the {service} service")?;
        Ok(())
    }

    async fn run_all(&self, gateway: &Gateway) -> anyhow::Result<()> {
        let request =
            ReplayRequest { filter: self.which.filter(), dry_run: self.dry_run, rate_per_second: self.rate };
        for service in self.which.services() {
            let accepted = gateway.replay_all(service, &request).await?;
            if self.dry_run {
                writeln!(stdout(), "{service}: {} messages would be handled again", accepted.matching)?;
            } else {
                writeln!(stdout(), "{service}: {} messages will be handled again", accepted.scheduled)?;
            }
        }
        Ok(())
    }
}

impl Discard {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let (service, _) = find(&gateway, self.id).await?;
        gateway.discard(service, self.id, self.reason).await?;
        writeln!(stdout(), "{} is discarded", self.id)?;
        Ok(())
    }
}

impl Which {
    fn services(&self) -> Vec<Service> {
        self.service.map_or_else(|| Service::WITH_DATABASE.to_vec(), |service| vec![service])
    }

    fn filter(&self) -> FailedMessageFilter {
        FailedMessageFilter {
            queue: self.queue.clone(),
            event_type: self.event_type.clone(),
            reason: self.reason.clone(),
            cause: self.cause.clone(),
            status: None,
            from: self.from,
            to: self.to,
        }
    }
}

impl From<Status> for Option<FailedMessageStatus> {
    fn from(status: Status) -> Self {
        match status {
            Status::Failed => Some(FailedMessageStatus::Failed),
            Status::Replaying => Some(FailedMessageStatus::Replaying),
            Status::Replayed => Some(FailedMessageStatus::Replayed),
            Status::Discarded => Some(FailedMessageStatus::Discarded),
            Status::Any => None,
        }
    }
}

/// The message, and the service that it failed in: an operator needs only its id.
async fn find(gateway: &Gateway, id: Uuid) -> anyhow::Result<(Service, FailedMessageDetails)> {
    for service in Service::WITH_DATABASE {
        if let Some(details) = gateway.failed_message(service, id).await? {
            return Ok((service, details));
        }
    }
    bail!("no service has a failed message {id} (paysaga failed list shows them)")
}

fn render(listed: &[Listed]) -> String {
    let mut table = table::with_header(["id", "queue", "type", "status", "attempts", "last seen", "reason"]);
    for Listed { message, .. } in listed {
        table.add_row([
            message.id.to_string(),
            message.queue.clone(),
            message.event_type.clone().unwrap_or_else(|| "–".to_owned()),
            message.status.to_string(),
            message.attempts.to_string(),
            message.last_seen.to_string(),
            message.reason.clone(),
        ]);
    }
    table.trim_fmt()
}
