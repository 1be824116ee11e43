//! `paysaga failed`: messages that no service could handle.

mod causes;
mod replay;
mod replays;
mod watch;
mod which;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use contracts::failed_message::{
    FailedMessage, FailedMessageDetails, FailedMessageFilter, FailedMessageStatus,
};
use contracts::topology::Service;
use serde::Serialize;
use uuid::Uuid;

use crate::command::listing::{ListOptions, print_json};
use crate::command::running_stack::StackOptions;
use crate::gateway::Gateway;
use crate::output::stdout;
use crate::progress::Progress;
use crate::table;
use which::Which;

/// Messages that no service could handle: show them, mend them, have them handled again, or discard them.
///
/// Replaying is harmless: a message keeps its event id, and what was done once is not done again.
#[derive(Debug, Args)]
pub(super) struct Failed {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What they failed for: how many of each cause, of how many orders, and what those come to
    Causes(causes::Causes),
    /// List them, the one that failed last first
    List(List),
    /// Show one with its headers, its body and what was done about it
    Show(Show),
    /// Give one another body, for a reason that is kept
    Edit(Edit),
    /// Have one handled again, or all that fit in waves
    Replay(replay::Replay),
    /// Replays of all that fit: list, show, pause, resume, cancel
    Replays(replays::Replays),
    /// Discard one, for a reason that is kept
    Discard(Discard),
}

#[derive(Debug, Args)]
struct List {
    // As it was called before replays had reasons.
    #[arg(long, hide = true, conflicts_with = "reason_contains")]
    reason: Option<String>,
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
struct Edit {
    /// The failed message's id
    id: Uuid,
    /// File with the body that it is to have [default: standard input]. It must be one that the message's consumer can read, with the
    /// eventId that the message has
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Why it is changed
    #[arg(long)]
    reason: String,
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

impl Failed {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Causes(causes) => causes.run().await,
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Edit(edit) => edit.run().await,
            Action::Replay(replay) => replay.run().await,
            Action::Replays(replays) => replays.run().await,
            Action::Discard(discard) => discard.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let filter = self.which.filter();
        let reason = self.reason.or(filter.reason);
        let filter = FailedMessageFilter { status: self.status.into(), reason, ..filter };
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

impl Edit {
    async fn run(self) -> anyhow::Result<()> {
        let body = read(self.body.as_deref())?;
        let gateway = self.stack.connect(&Progress::new())?;
        let (service, _) = find(&gateway, self.id).await?;
        gateway.edit(service, self.id, body, self.reason).await?;
        writeln!(stdout(), "{} has another body; paysaga failed replay has it handled", self.id)?;
        Ok(())
    }
}

/// The text of a file, else of standard input, without what ends its last line.
fn read(file: Option<&Path>) -> anyhow::Result<String> {
    let mut text = String::new();
    if let Some(file) = file {
        text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    } else {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    }
    Ok(text.trim_end().to_owned())
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
