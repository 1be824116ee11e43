//! Watches replays until they end.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use contracts::replay::{Replay, ReplayStatus};
use contracts::topology::Service;
use local_stack::interrupts::Interrupts;
use uuid::Uuid;

use crate::gateway::Gateway;
use crate::output::stdout;
use crate::progress::Progress;

/// How often a replay is looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// How often in a row the gateway may give no answer: a minute or more, as while a service is being replaced.
const PATIENCE: u32 = 200;

/// A replay that is watched.
pub(super) struct Watched {
    pub(super) service: Service,
    pub(super) id: Uuid,
}

/// Shows how replays get on, until each has ended or has stopped by itself. An error unless all of them are completed without a
/// failure. They go on, whatever becomes of the watch.
pub(super) async fn until_ended(
    gateway: &Gateway,
    progress: &Progress,
    watched: &[Watched],
) -> anyhow::Result<()> {
    let gateway = gateway.clone().without_traces_of_reads();
    let mut interrupts = Interrupts::listen().context("cannot listen to signals")?;
    let mut wrong = Vec::new();
    for Watched { service, id } in watched {
        let replay = tokio::select! {
            ended = until_one_ended(&gateway, progress, *service, *id) => ended?,
            () = interrupts.next() => {
                bail!("what was begun goes on: `paysaga failed replays show {id} --watch` tells how it stands");
            }
        };
        writeln!(stdout(), "{service}: {}", in_words(&replay))?;
        if replay.status != ReplayStatus::Completed {
            wrong.push(format!("the replay {id} is {}", replay.status));
        }
    }
    if !wrong.is_empty() {
        bail!("{} (`paysaga failed replays show ID` tells why)", wrong.join(", "));
    }
    Ok(())
}

async fn until_one_ended(
    gateway: &Gateway,
    progress: &Progress,
    service: Service,
    id: Uuid,
) -> anyhow::Result<Replay> {
    let mut bar = None;
    let mut last_told = None;
    let mut unanswered = 0;
    loop {
        match gateway.replay_operation(service, id).await {
            Ok(Some(replay)) => {
                unanswered = 0;
                let outcomes = replay.outcomes;
                let bar = bar.get_or_insert_with(|| progress.bar(service.name(), outcomes.members));
                bar.set(outcomes.members - outcomes.waiting);
                bar.waits_for(&where_it_stands(&replay));
                if last_told != Some((replay.wave, replay.status)) {
                    progress.message(&format!("{service}: {}", where_it_stands(&replay)));
                    last_told = Some((replay.wave, replay.status));
                }
                if replay.finished_at.is_some() || replay.status == ReplayStatus::Stopped {
                    return Ok(replay);
                }
            }
            Ok(None) => bail!("the {service} service has no replay {id} any more"),
            Err(error) if unanswered == PATIENCE || !error.may_pass() => return Err(error.into()),
            Err(_) => unanswered += 1,
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn where_it_stands(replay: &Replay) -> String {
    format!("{}, wave {} of {}", replay.status, replay.wave, replay.waves)
}

/// What became of a replay.
fn in_words(replay: &Replay) -> String {
    let outcomes = &replay.outcomes;
    format!(
        "{}: of {} messages {} were handled, {} failed again, {} were skipped, {} had been handled already, {} wait",
        replay.status,
        outcomes.members,
        outcomes.handled,
        outcomes.failed_again,
        outcomes.skipped,
        outcomes.already_handled,
        outcomes.waiting,
    )
}
