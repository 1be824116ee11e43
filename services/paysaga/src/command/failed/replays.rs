//! `paysaga failed replays`: replays that were begun with `paysaga failed replay --all`, or elsewhere.

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand};
use contracts::replay::{Replay, ReplayMember, ReplayOutcome};
use contracts::topology::Service;
use serde::Serialize;
use uuid::Uuid;

use super::watch::{self, Watched};
use super::which::{service_names, services};
use crate::command::listing::{ListOptions, print_json};
use crate::command::running_stack::StackOptions;
use crate::gateway::{Gateway, Paging, ReplayChange};
use crate::output::stdout;
use crate::progress::Progress;
use crate::table;

#[derive(Debug, Args)]
pub(super) struct Replays {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, the one that began last first
    List(List),
    /// Show one, with what was decided about it and what failed again
    Show(Show),
    /// Hold a running one
    Pause(Change),
    /// Let one go on that was paused, or has stopped by itself
    Resume(Change),
    /// End one before its last message
    Cancel(Change),
}

#[derive(Debug, Args)]
struct List {
    /// Of this service [default: both]
    #[arg(long, value_parser = service_names())]
    service: Option<Service>,
    #[command(flatten)]
    how: ListOptions,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Show {
    /// The replay's id
    id: Uuid,
    /// Show how it gets on first, until it ends or stops, and fail unless every message was handled. Ctrl-C leaves it running
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Debug, Args)]
struct Change {
    /// The replay's id
    id: Uuid,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    stack: StackOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    service: &'static str,
    #[serde(flatten)]
    replay: Replay,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    replay: Replay,
    /// The first hundred messages that failed again.
    failed_again: Vec<ReplayMember>,
}

impl Replays {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Pause(change) => change.run(ReplayChange::Pause).await,
            Action::Resume(change) => change.run(ReplayChange::Resume).await,
            Action::Cancel(change) => change.run(ReplayChange::Cancel).await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let (mut listed, mut total) = (Vec::new(), 0);
        for service in services(self.service) {
            let page = gateway.replay_operations(service, self.how.paging()).await?;
            total += page.meta.total;
            listed.extend(page.data.into_iter().map(|replay| Listed { service: service.name(), replay }));
        }
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.replay.created_at));
        self.how.print(&listed, render, &format!("{} of {total} replays", listed.len()))
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let gateway = self.stack.connect(&progress)?;
        let (service, replay) = find(&gateway, self.id).await?;
        if self.watch {
            return watch::until_ended(&gateway, &progress, &[Watched { service, id: self.id }]).await;
        }
        let failed = Some(ReplayOutcome::FailedAgain);
        let members = gateway.replay_members(service, self.id, failed, Paging::largest(1)).await?;
        print_json(&Shown { replay, failed_again: members.data })
    }
}

impl Change {
    async fn run(self, change: ReplayChange) -> anyhow::Result<()> {
        let gateway = self.stack.connect(&Progress::new())?;
        let (service, _) = find(&gateway, self.id).await?;
        let replay = gateway.change_replay(service, self.id, change, self.reason).await?;
        writeln!(stdout(), "the replay {} is {}", self.id, replay.status)?;
        Ok(())
    }
}

/// The replay, and the service that it is of: an operator needs only its id.
async fn find(gateway: &Gateway, id: Uuid) -> anyhow::Result<(Service, Replay)> {
    for service in Service::WITH_DATABASE {
        if let Some(replay) = gateway.replay_operation(service, id).await? {
            return Ok((service, replay));
        }
    }
    bail!("no service has a replay {id} (paysaga failed replays list shows them)")
}

fn render(listed: &[Listed]) -> String {
    let header =
        ["id", "service", "status", "wave", "messages", "handled", "failed again", "wait", "began", "reason"];
    let mut table = table::with_header(header);
    for Listed { service, replay } in listed {
        let outcomes = &replay.outcomes;
        table.add_row([
            replay.id.to_string(),
            (*service).to_owned(),
            replay.status.to_string(),
            format!("{} of {}", replay.wave, replay.waves),
            outcomes.members.to_string(),
            outcomes.handled.to_string(),
            outcomes.failed_again.to_string(),
            outcomes.waiting.to_string(),
            replay.created_at.to_string(),
            replay.reason.clone(),
        ]);
    }
    table.trim_fmt()
}
