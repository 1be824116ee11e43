//! `paysaga infra`: the private servers alone, for test kits.
//!
//! The process that starts it holds the other end of its standard input. However that process ends, the kernel closes the
//! pipe, and the servers stop.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

use anyhow::Context;
use clap::Args;
use local_stack::{Infrastructure, Installation};
use tokio::sync::oneshot;

use super::data_directory::DataDirectory;
use crate::interrupts::Interrupts;

/// Starts PostgreSQL and RabbitMQ, prints one line of JSON with their addresses and passwords when both serve,
/// and stops them when standard input ends or on SIGINT, SIGTERM or SIGHUP.
#[derive(Debug, Args)]
pub(super) struct Infra {
    #[command(flatten)]
    data: DataDirectory,
    /// Start the servers of the Debian in this directory instead of this machine's, as root (see ./dev generation-2)
    #[arg(long, value_name = "PATH", env = "PAYSAGA_SERVER_ROOT")]
    root: Option<PathBuf>,
}

impl Infra {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::listen().context("cannot listen to signals")?;
        let installation = match self.root.as_deref().filter(|root| !root.as_os_str().is_empty()) {
            Some(root) => Installation::of_root(root)?,
            None => Installation::of_this_machine(),
        };
        let directory = self.data.open(&installation).await?;
        let mut infrastructure = Infrastructure::prepare(&installation, directory)?;
        let served = tokio::select! {
            () = interrupts.next() => Ok(()),
            () = end_of_standard_input() => Ok(()),
            failure = serve(&mut infrastructure) => Err(failure),
        };
        let stopped = tokio::select! {
            stopped = infrastructure.stop() => stopped,
            () = interrupts.next() => infrastructure.kill().await,
        };
        served?;
        Ok(stopped?)
    }
}

/// Returns only when something has failed.
async fn serve(infrastructure: &mut Infrastructure) -> anyhow::Error {
    if let Err(error) = infrastructure.start().await {
        return error.into();
    }
    if let Err(error) = print(infrastructure) {
        return error.context("cannot print the addresses");
    }
    infrastructure.ended().await.into()
}

fn print(infrastructure: &Infrastructure) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &infrastructure.description())?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}

/// Reads on a thread that is not one of the runtime's: a read can't be cancelled, and the runtime would wait for its own
/// threads at the end.
async fn end_of_standard_input() {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(ended);
    });
    let _ = end.await;
}
