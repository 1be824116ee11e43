//! A service as a child process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use contracts::topology::Service;
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::process::Child;

use crate::eventually;
use crate::programs::{self, Environment};

/// What the gateway of a test presents to order and payment, unless the test says otherwise.
pub const SERVICE_TOKEN: &str = "the-token-of-the-tests-of-paysaga";

/// A running process of a service. Killed when dropped.
pub struct ServiceProcess {
    service: Service,
    programs: PathBuf,
    environment: Environment,
    log: PathBuf,
    process: Child,
    addresses: Addresses,
}

/// Where a service listens.
#[derive(Clone, Copy)]
struct Addresses {
    clients: SocketAddr,
    management: SocketAddr,
}

impl ServiceProcess {
    /// Starts a service with exactly these variables, on any free port unless they name one, and waits until it listens.
    pub async fn start(service: Service, environment: Environment, log_directory: &Path) -> Self {
        let mut process = Self::launch(service, &programs::directory(), environment, log_directory);
        process.addresses = process.listening().await;
        process
    }

    /// Starts a service of the folder `programs` and waits for nothing. Its addresses are known only if `PORT` and
    /// `MANAGEMENT_ADDRESS` are among its variables. A gateway asks for keys only if they name a file of them.
    pub(crate) fn launch(
        service: Service,
        programs: &Path,
        mut environment: Environment,
        log_directory: &Path,
    ) -> Self {
        if service == Service::Gateway && !environment.contains_key("API_KEYS_FILE") {
            environment.insert("AUTHENTICATION".to_owned(), "off".to_owned());
        }
        // reqwest is built without a TLS provider of its own. Where one is installed already, this changes nothing.
        rustls::crypto::ring::default_provider().install_default().ok();
        if !environment.contains_key("TLS_CERTIFICATE_FILE")
            && !environment.contains_key("SERVICE_TOKEN_FILE")
        {
            environment.entry("SERVICE_TOKEN".to_owned()).or_insert_with(|| SERVICE_TOKEN.to_owned());
        }
        let log = log_directory.join(format!("{service}-{}.log", uuid::Uuid::now_v7()));
        let process = spawn(&programs.join(service.name()), &environment, &log);
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let port = environment.get("PORT").and_then(|port| port.parse().ok()).unwrap_or_default();
        let management = environment.get("MANAGEMENT_ADDRESS").and_then(|address| address.parse().ok());
        let addresses =
            Addresses { clients: ([127, 0, 0, 1], port).into(), management: management.unwrap_or(unknown) };
        Self { service, programs: programs.to_owned(), environment, log, process, addresses }
    }

    /// Which service it is.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.service
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.addresses.clients
    }

    /// Where it answers probes and scrapers.
    #[must_use]
    pub const fn management_address(&self) -> SocketAddr {
        self.addresses.management
    }

    /// Its variables.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses.clients)
    }

    /// The base URL of its health and metrics.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://{}", self.addresses.management)
    }

    /// Its metrics.
    pub async fn metrics(&self) -> String {
        let answer = reqwest::get(format!("{}/metrics", self.management_url())).await.expect("an answer");
        answer.text().await.expect("metrics are text")
    }

    /// What it answers to `GET path`, which must be found. Only gateways may ask it.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let request = reqwest::Client::new().get(format!("{}{path}", self.url()));
        let response = request.bearer_auth(SERVICE_TOKEN).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}: {:?}", response.text().await);
        response.json().await.expect("the answer has the contract's shape")
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
        let url = format!("{}/health/ready", self.management_url());
        eventually(&format!("{} is ready", self.service), async || {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("{} ended with {status}:\n{}", self.service, self.log());
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

    /// Whether it reports that it is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/health/ready", self.management_url())).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it can be signalled");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(crate::TIMEOUT, self.process.wait());
        ended.await.unwrap_or_else(|_| panic!("{} does not end", self.service)).expect("it can be waited for")
    }

    /// Stops it (SIGTERM), and waits until it has ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Kills it as a crash would (SIGKILL).
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// Starts it again after its end, with the same variables and on the same ports.
    pub async fn start_again(&mut self) {
        self.launch_again();
        self.ready().await;
    }

    /// Starts it again after its end, with the same variables and on the same ports, and waits for nothing.
    pub(crate) fn launch_again(&mut self) {
        let Addresses { clients, management } = self.addresses;
        self.environment.insert("PORT".to_owned(), clients.port().to_string());
        self.environment.insert("MANAGEMENT_ADDRESS".to_owned(), management.to_string());
        self.process = spawn(&self.programs.join(self.service.name()), &self.environment, &self.log);
    }

    /// Its variables, for its next start.
    pub(crate) const fn environment_mut(&mut self) -> &mut Environment {
        &mut self.environment
    }

    /// Its process id while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// How it ended, if it did.
    pub(crate) fn try_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("it can be waited for")
    }

    async fn listening(&mut self) -> Addresses {
        eventually(&format!("{} listens", self.service), async || {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("{} ended with {status}:\n{}", self.service, self.log());
            }
            let log = self.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listening = lines.rev().find(|line| line["message"] == "listening");
            let address = |name: &str| listening.as_ref()?[name].as_str()?.parse().ok();
            let addresses = address("address").zip(address("management_address"));
            let addresses = addresses.map(|(clients, management)| Addresses { clients, management });
            addresses.ok_or_else(|| format!("its log:\n{log}"))
        })
        .await
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            eprintln!("--- the last of {}'s log ---\n{}", self.service, last.join("\n"));
        }
    }
}

fn spawn(program: &Path, environment: &Environment, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("the log can be written");
    let errors = log.try_clone().expect("the log can be shared");
    programs::command(program, environment)
        .stdout(log)
        .stderr(errors)
        .spawn()
        .unwrap_or_else(|error| panic!("{} can't be started: {error}", program.display()))
}
