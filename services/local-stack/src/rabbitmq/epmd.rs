//! Erlang's port mapper, one for each data directory.
//!
//! Left to itself a node starts epmd as a daemon that outlives it. Started by us, in the foreground and before
//! the node, it is a child like any other, and the daemon that Erlang starts all the same finds the port taken
//! and ends.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::directory::Directory;
use crate::ports::Port;
use crate::process::launcher::Launcher;
use crate::process::{Process, ProcessError, StopPolicy, StopSignal};

const STOP_POLICY: StopPolicy = StopPolicy {
    signal: StopSignal::Terminate,
    timeout: Duration::from_secs(5),
    parent_death_signal: StopSignal::Terminate,
};

#[derive(Debug)]
pub(super) struct Epmd {
    program: PathBuf,
    launcher: Launcher,
    log: PathBuf,
    process: Option<Process>,
    port: Port,
}

impl Epmd {
    pub(super) fn new(program: PathBuf, directory: &Directory, port: Port) -> Self {
        Self {
            program,
            launcher: directory.launcher().clone(),
            log: directory.log("epmd"),
            process: None,
            port,
        }
    }

    /// Starts it unless it runs, and waits until it accepts connections.
    pub(super) async fn start(&mut self) -> Result<(), ProcessError> {
        const TIMEOUT: Duration = Duration::from_secs(10);
        if self.process.as_ref().is_some_and(|process| process.id().is_some()) {
            return Ok(());
        }
        let address = (Ipv4Addr::LOCALHOST, self.port.number());
        let program = self
            .launcher
            .program("epmd", &self.program, STOP_POLICY, None)
            .env("ERL_EPMD_PORT", self.port.number().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        let process = self.process.insert(program.spawn(&self.log)?);
        let connects =
            || async { TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string()) };
        process.ready(TIMEOUT, connects).await
    }

    pub(super) async fn stop(&mut self) -> Result<(), ProcessError> {
        if let Some(process) = &mut self.process {
            process.stop().await?;
        }
        self.process = None;
        Ok(())
    }
}
