//! The life of a service: configure, start, run, drain.

use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{Environment, Problems, Variable, Variables};
use crate::crash_here;
use crate::health::Health;
use crate::tasks::{Failure, Tasks};
use crate::telemetry::{LogVariables, Telemetry, TelemetryConfig};

/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// The command line is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// How long buffered spans may take to leave at the end.
const TELEMETRY_TIMEOUT: Duration = Duration::from_secs(2);

crate::variables! {
    /// How a service ends.
    pub struct LifecycleVariables {
        /// How long a service that is told to stop still answers while `/health/ready` already says no, so that load balancers notice.
        drain_grace = "500ms",
        /// How long a service that is told to stop may take to finish its work; then it exits in spite of it.
        shutdown_timeout = "10s",
    }
}

/// A service, as `main` describes it.
pub struct Service<C> {
    /// Its name: of the binary, in logs and in traces.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The variables that it reads besides those of every service.
    pub variables: &'static [&'static [Variable]],
    /// Turns the environment into its configuration.
    pub configure: fn(&Environment, &mut Problems) -> Option<C>,
    /// Whether it has a database whose migrations can be run alone.
    pub migrates: bool,
}

/// What a service is started with.
pub struct Lifecycle {
    /// Whether the service can do its work.
    pub health: Health,
    /// Takes work in: HTTP, consumers, timers. Stops first.
    pub intake: Tasks,
    /// Finishes work that was taken in.
    pub work: Tasks,
    /// Sends what the work came to: the outbox.
    pub delivery: Tasks,
    /// Holds the connections that everything else needs. Stops last.
    pub connections: Tasks,
    /// Cancelled when the service is told to stop.
    pub shutdown: CancellationToken,
    /// Run the migrations and end (`--migrate-only`).
    pub migrate_only: bool,
}

/// Why a service could not start. Infrastructure that is away is no reason: it is waited for.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port is taken, or the address is not this machine's.
    #[error(transparent)]
    Listen(#[from] crate::http::BindError),
    /// The database's schema and this program don't fit together.
    #[error("the database schema can't be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Something in the configuration is only found wrong when it is used.
    #[error("{0}")]
    Config(String),
}

impl<C> Service<C> {
    /// The whole life of the process. `start` spawns the service's tasks and returns; the rest happens here.
    pub fn run<F>(&self, start: impl FnOnce(C, Lifecycle) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), StartError>>,
    {
        let migrate_only = match self.arguments() {
            Ok(migrate_only) => migrate_only,
            Err(code) => return code,
        };
        let environment = Environment::of_process();
        let mut problems = Problems::default();
        let telemetry = TelemetryConfig::from_environment(&environment, &mut problems);
        let lifecycle = LifecycleConfig::from_environment(&environment, &mut problems);
        let config = (self.configure)(&environment, &mut problems);
        let (Some(telemetry), Some(lifecycle), Some(config), []) =
            (telemetry, lifecycle, config, problems.lines())
        else {
            return self.complain(&problems);
        };
        install_tls();
        let telemetry = match Telemetry::start(self.name, &telemetry) {
            Ok(telemetry) => telemetry,
            Err(error) => {
                eprintln!("{}: {error}", self.name);
                return ExitCode::from(EXIT_CONFIG);
            }
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                error!(%error, "the runtime could not be started");
                return ExitCode::FAILURE;
            }
        };
        let code = runtime.block_on(self.live(lifecycle, migrate_only, |parts| start(config, parts)));
        runtime.shutdown_timeout(Duration::from_millis(100));
        if let Err(error) = telemetry.shutdown(TELEMETRY_TIMEOUT) {
            eprintln!("{}: the last spans were not sent: {error}", self.name);
        }
        code
    }

    async fn live<F>(
        &self,
        config: LifecycleConfig,
        migrate_only: bool,
        start: impl FnOnce(Lifecycle) -> F,
    ) -> ExitCode
    where
        F: Future<Output = Result<(), StartError>>,
    {
        let shutdown = CancellationToken::new();
        let failure = Failure::new(shutdown.clone());
        let group = || Tasks::new(failure.clone());
        let groups = [group(), group(), group(), group()];
        let [intake, work, delivery, connections] = groups.clone();
        let health = Health::default();
        let signals = group();
        signals.spawn(shut_down_on_signal(shutdown.clone()));

        info!(version = env!("CARGO_PKG_VERSION"), "{} starts", self.name);
        let lifecycle = Lifecycle {
            health: health.clone(),
            intake,
            work,
            delivery,
            connections,
            shutdown: shutdown.clone(),
            migrate_only,
        };
        if let Err(error) = start(lifecycle).await {
            error!(%error, "{} can't start", self.name);
            return ExitCode::FAILURE;
        }
        if migrate_only {
            return ExitCode::SUCCESS;
        }
        shutdown.cancelled().await;
        let in_time = drain(&config, &health, &groups).await;
        if in_time && !failure.is_raised() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn arguments(&self) -> Result<bool, ExitCode> {
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        match arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
            [] => Ok(false),
            ["--migrate-only"] if self.migrates => Ok(true),
            ["--version" | "-V"] => {
                println!("{} {}", self.name, env!("CARGO_PKG_VERSION"));
                Err(ExitCode::SUCCESS)
            }
            ["--help" | "-h"] => {
                print!("{}", self.help());
                Err(ExitCode::SUCCESS)
            }
            ref unknown => {
                eprintln!("{}: don't know what to do with {}; try --help", self.name, unknown.join(" "));
                Err(ExitCode::from(EXIT_USAGE))
            }
        }
    }

    fn help(&self) -> String {
        use std::fmt::Write;

        let mut help = format!("{}: {}\n\n", self.name, self.about);
        help.push_str("Options: --help, --version");
        if self.migrates {
            help.push_str(", --migrate-only (bring the database schema up to date and end)");
        }
        help.push_str("\n\nConfigured by environment variables; each may be given as NAME_FILE, the path of a file that holds the value.\n\n");
        help.push_str("| variable | default | meaning |\n|---|---|---|\n");
        let shared = [LifecycleVariables::VARIABLES, LogVariables::VARIABLES];
        for variable in self.variables.iter().chain(&shared).copied().flatten() {
            let default = variable.default.map_or_else(String::new, |default| format!("`{default}`"));
            // Writing to a String can't fail.
            let _ = writeln!(help, "| `{}` | {default} | {} |", variable.name(), variable.about.trim());
        }
        help.push_str("\nTraces are configured by the standard OTEL_* variables, first of all OTEL_EXPORTER_OTLP_ENDPOINT.\n");
        help
    }

    fn complain(&self, problems: &Problems) -> ExitCode {
        let count = problems.lines().len();
        let mistakes = if count == 1 { "a mistake" } else { "mistakes" };
        eprintln!("{}: the configuration has {mistakes} (see {} --help):", self.name, self.name);
        for line in problems.lines() {
            eprintln!("  {line}");
        }
        ExitCode::from(EXIT_CONFIG)
    }
}

/// How a service ends.
struct LifecycleConfig {
    drain_grace: Duration,
    shutdown_timeout: Duration,
}

impl LifecycleConfig {
    fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: LifecycleVariables = environment.read(problems)?;
        let drain_grace = variables.drain_grace().duration(problems);
        let shutdown_timeout = variables.shutdown_timeout().duration(problems);
        Some(Self { drain_grace: drain_grace?, shutdown_timeout: shutdown_timeout? })
    }
}

/// Stops the groups in the order in which work flows through them. Returns whether everything was finished in time.
async fn drain(config: &LifecycleConfig, health: &Health, groups: &[Tasks]) -> bool {
    let started = Instant::now();
    health.drain();
    info!("shutting down");
    crash_here!("during-drain");
    let stop_all = async {
        tokio::time::sleep(config.drain_grace).await;
        for group in groups {
            group.stop().await;
        }
    };
    let in_time = tokio::time::timeout(config.shutdown_timeout, stop_all).await.is_ok();
    if in_time {
        info!(elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "shut down");
    } else {
        let running: usize = groups.iter().map(Tasks::running).sum();
        warn!(
            running,
            "the shutdown deadline passed; unfinished work is taken up by another replica or at the next start"
        );
    }
    in_time
}

async fn shut_down_on_signal(shutdown: CancellationToken) {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => error!(%error, "signals can't be received"),
    }
    shutdown.cancel();
}

/// Makes ring the process's TLS provider, for the HTTP client that names none itself.
fn install_tls() {
    // Fails only if one is installed already, which serves as well.
    rustls::crypto::ring::default_provider().install_default().ok();
}
