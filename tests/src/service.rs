//! A service as a child process.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{binaries, eventually};

/// Environment variables of a service.
pub type Environment = BTreeMap<String, String>;

/// Some environment variables.
#[must_use]
pub fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A running service. Killed when dropped.
pub struct Service {
    name: &'static str,
    programs: PathBuf,
    environment: Environment,
    log: PathBuf,
    process: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts a service with exactly these variables, on any free port unless told otherwise, and waits until it listens.
    pub async fn start(name: &'static str, environment: Environment, log_directory: &Path) -> Self {
        let mut service = Self::launch(binaries::directory(), name, environment, log_directory);
        service.address = service.listening().await;
        service
    }

    /// Starts a service of the folder `programs` and waits for nothing. Unless `PORT` is among its variables, nobody
    /// knows where it will listen.
    pub(crate) fn launch(
        programs: &Path,
        name: &'static str,
        environment: Environment,
        log_directory: &Path,
    ) -> Self {
        let log = log_directory.join(format!("{name}-{}.log", uuid::Uuid::now_v7()));
        let process = spawn(programs, name, &environment, &log);
        let port = environment.get("PORT").and_then(|port| port.parse().ok()).unwrap_or_default();
        let address = ([127, 0, 0, 1], port).into();
        Self { name, programs: programs.to_owned(), environment, log, process, address }
    }

    /// Runs a service's program with arguments until it ends by itself.
    pub async fn run(name: &str, arguments: &[&str], environment: &Environment) -> Output {
        let mut command = command(binaries::directory(), name, environment);
        let run = command.args(arguments).output();
        let ended = tokio::time::timeout(crate::PATIENCE, run).await;
        ended.unwrap_or_else(|_| panic!("{name} {arguments:?} does not end")).expect("it can be run")
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its variables, for a replica of it.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where it can be asked.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has logged so far, one JSON object a line.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The lines of its log, each of which must be a JSON object.
    #[must_use]
    pub fn log_lines(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.log().lines().map(line).collect()
    }

    /// Waits until it is ready to work.
    pub async fn ready(&mut self) {
        let url = format!("{}/health/ready", self.url());
        eventually(&format!("{} is ready", self.name), async || {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("{} ended with {status}:\n{}", self.name, self.log());
            }
            let response = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            if response.status().is_success() {
                Ok(())
            } else {
                Err(response.text().await.unwrap_or_default())
            }
        })
        .await;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it can be signalled");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(crate::PATIENCE, self.process.wait());
        ended.await.unwrap_or_else(|_| panic!("{} does not end", self.name)).expect("it can be waited for")
    }

    /// Tells it to stop, and waits until it did.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Kills it as a crash would.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// Starts it again after its end, with the same variables and on the same port.
    pub async fn start_again(&mut self) {
        self.launch_again();
        self.ready().await;
    }

    /// Starts it again after its end, with the same variables and on the same port, and waits for nothing.
    pub(crate) fn launch_again(&mut self) {
        self.environment.insert("PORT".to_owned(), self.address.port().to_string());
        self.process = spawn(&self.programs, self.name, &self.environment, &self.log);
    }

    /// Its variables, for its next start.
    pub(crate) const fn environment_mut(&mut self) -> &mut Environment {
        &mut self.environment
    }

    /// What it is called.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// How it ended, if it did.
    pub(crate) fn try_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("it can be waited for")
    }

    async fn listening(&mut self) -> SocketAddr {
        eventually(&format!("{} listens", self.name), async || {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("{} ended with {status}:\n{}", self.name, self.log());
            }
            let log = self.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listening = lines.rev().find(|line| line["message"] == "listening");
            let address = listening.and_then(|line| line["address"].as_str()?.parse().ok());
            address.ok_or_else(|| format!("its log:\n{log}"))
        })
        .await
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            eprintln!("--- the last of {}'s log ---\n{}", self.name, last.join("\n"));
        }
    }
}

fn spawn(programs: &Path, name: &str, environment: &Environment, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("the log can be written");
    let errors = log.try_clone().expect("the log can be shared");
    command(programs, name, environment)
        .stdout(log)
        .stderr(errors)
        .spawn()
        .unwrap_or_else(|error| panic!("{name} can't be started: {error}"))
}

fn command(programs: &Path, name: &str, environment: &Environment) -> Command {
    let mut command = Command::new(programs.join(name));
    command
        .env_clear()
        .env("PORT", "0")
        .env("LOG_FORMAT", "json")
        .envs(environment)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
