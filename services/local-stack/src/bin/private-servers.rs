//! `private-servers`: PostgreSQL and RabbitMQ in a temporary directory, for a test program that shares them among its
//! tests.
//!
//! Prints one line of JSON ([`local_stack::infrastructure::Description`]) when both serve. They stop, and the directory
//! goes, when standard input ends or on SIGINT, SIGTERM or SIGHUP. The process that starts this one holds the other end of
//! its standard input: however that process ends, the kernel closes the pipe.
//!
//! `PAYSAGA_SERVER_ROOT` names a directory that holds another Debian, whose servers are started instead of this
//! machine's (`./dev generation-2`; root only).

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use local_stack::interrupts::Interrupts;
use local_stack::{Directory, Infrastructure, Installation};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("private-servers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen().context("cannot listen to signals")?;
    let installation = match env::var_os("PAYSAGA_SERVER_ROOT").filter(|root| !root.is_empty()) {
        Some(root) => Installation::of_root(Path::new(&root))?,
        None => Installation::of_this_machine(),
    };
    let directory = Directory::ephemeral(&installation).await?;
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
