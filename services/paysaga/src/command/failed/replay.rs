//! `paysaga failed replay`: have one message handled again at once, or all that fit by a replay that lasts.

use std::io::Write;

use anyhow::bail;
use clap::Args;
use contracts::failed_message::FailedMessageFilter;
use contracts::replay::NewReplay;
use uuid::Uuid;

use super::watch::{self, Watched};
use super::which::Which;
use crate::command::running_stack::StackOptions;
use crate::gateway::Gateway;
use crate::output::stdout;
use crate::progress::Progress;

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The failed message's id
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "Which", "How"])]
    id: Option<Uuid>,
    /// All that wait for a decision and fit what follows
    #[arg(long)]
    all: bool,
    /// Only print how many that are, and what their orders come to
    #[arg(long, requires = "all")]
    dry_run: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    stack: StackOptions,
}

/// How many messages are handled again.
#[derive(Debug, Args)]
struct How {
    /// Why they will be handled this time. --reason says why; the filter by text is --reason-contains
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["id", "dry_run"])]
    reason: Option<String>,
    /// How many messages each of the first waves has, such as 1,10,100; all that remain are the last wave. A wave begins when the
    /// one before has ended
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    canary: Vec<u32>,
    /// It stops by itself when so many of its messages failed again
    #[arg(long, value_name = "N", default_value_t = NewReplay::default_stop_after(), value_parser = clap::value_parser!(u32).range(1..))]
    stop_after: u32,
    /// Most messages a second and service [default: as fast as it goes]
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Show how it gets on until it ends or stops, and fail unless every message was handled. Ctrl-C leaves it running
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
}

impl Replay {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let progress = Progress::new();
        let gateway = self.stack.connect(&progress)?;
        let Some(id) = self.id else { return self.run_all(&gateway, &progress).await };
        let (service, _) = super::find(&gateway, id).await?;
        gateway.replay(service, id).await?;
        writeln!(stdout(), "{id} will be handled again by the {service} service")?;
        Ok(())
    }

    async fn run_all(&self, gateway: &Gateway, progress: &Progress) -> anyhow::Result<()> {
        let new = NewReplay {
            filter: self.which.filter(),
            // A dry run needs none, the request does.
            reason: self.how.reason.clone().unwrap_or_else(|| "a dry run".to_owned()),
            canary: self.how.canary.clone(),
            stop_after: self.how.stop_after,
            rate_per_second: self.how.rate,
        };
        self.refuse_a_filter_for_a_reason(gateway, &new).await?;
        let mut begun = Vec::new();
        for service in self.which.services() {
            let preview = gateway.preview_replay(service, &new).await?;
            let (matching, orders, money) = (preview.matching, preview.orders, preview.money);
            if self.dry_run {
                let about = format!("{orders} orders of {money} altogether");
                writeln!(stdout(), "{service}: {matching} messages would be handled again ({about})")?;
                continue;
            }
            if matching == 0 {
                writeln!(stdout(), "{service}: there is no message to be handled again")?;
                continue;
            }
            let replay = gateway.begin_replay(service, &new).await?;
            let (id, members) = (replay.id, replay.outcomes.members);
            writeln!(stdout(), "{service}: {members} messages will be handled again by the replay {id}")?;
            begun.push(Watched { service, id });
        }
        if self.how.watch { watch::until_ended(gateway, progress, &begun).await } else { Ok(()) }
    }

    /// `--reason` was the filter by text once. Where it would filter, it may be meant so, and far more would be handled than meant.
    async fn refuse_a_filter_for_a_reason(&self, gateway: &Gateway, new: &NewReplay) -> anyhow::Result<()> {
        if self.how.reason.is_none() || new.filter.reason.is_some() {
            return Ok(());
        }
        let filter = FailedMessageFilter { reason: self.how.reason.clone(), ..new.filter.clone() };
        let filtered = NewReplay { filter, ..new.clone() };
        for service in self.which.services() {
            let matching = gateway.preview_replay(service, &filtered).await?.matching;
            if matching > 0 {
                bail!(
                    "{matching} messages of the {service} service have failed with a reason that contains the text of --reason, which says \
                     why they will be handled and filters nothing; the filter is --reason-contains"
                );
            }
        }
        Ok(())
    }
}
