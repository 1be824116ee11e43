//! A service as a program: configure, start, run, drain.

mod arguments;
mod lifecycle;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use contracts::topology::Service;
use thiserror::Error;
use tokio::runtime::Runtime;
use tracing::{error, info};

pub use lifecycle::{Lifecycle, LifecycleVariables};

use crate::config::{Environment, Problems, Variable, Variables};
use crate::database::SchemaError;
use crate::telemetry::{LogVariables, MetricVariables, Telemetry, TelemetryConfig};
use crate::{huge_pages, open_files};
use arguments::Invocation;
use lifecycle::LifecycleConfig;

/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// The command line is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// What a service requires and a migration does not use.
const NOT_FOR_MIGRATION: [(&str, &str); 2] =
    [("RABBITMQ_URL", "amqp://localhost"), ("AUTHENTICATION", "off")];

/// How long buffered telemetry may take to leave at the end.
const TELEMETRY_TIMEOUT: Duration = Duration::from_secs(2);

/// A service's program, as `main` describes it.
pub struct Program<C> {
    /// Which service. Its name is that of the binary, in logs and in traces.
    pub service: Service,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The commit that it was built from, where the build says so (`PAYSAGA_COMMIT`).
    pub commit: Option<&'static str>,
    /// The variables that it reads besides those of every service.
    pub variables: &'static [&'static [Variable]],
    /// Turns the environment into its configuration.
    pub configure: fn(&Environment, &mut Problems) -> Option<C>,
}

/// Why a service could not start. Unavailable infrastructure is no reason: the service waits for it.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port is taken, or the address is not this machine's.
    #[error(transparent)]
    Listen(#[from] crate::http::BindError),
    /// The database's schema and this program don't fit together.
    #[error("the database schema can't be brought up to date: {0}")]
    Migrate(#[from] SchemaError),
    /// Something in the configuration is only found wrong when it is used.
    #[error("{0}")]
    Config(String),
}

impl<C> Program<C> {
    /// The whole life of the process. `start` spawns the service's tasks and returns; the rest happens here.
    pub fn run<F>(&self, start: impl FnOnce(C, Lifecycle) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), StartError>>,
    {
        match Invocation::of_process() {
            Invocation::Serve => self.configure_and_run(false, start),
            Invocation::Migrate if self.has_database() => self.configure_and_run(true, start),
            Invocation::Migrate => self.refuse("--migrate-only"),
            Invocation::Unknown(arguments) => self.refuse(&arguments),
            Invocation::Version => {
                println!("{} {}", self.service, env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
            Invocation::Help => {
                print!("{}", self.help());
                ExitCode::SUCCESS
            }
        }
    }

    fn configure_and_run<F>(&self, migrate_only: bool, start: impl FnOnce(C, Lifecycle) -> F) -> ExitCode
    where
        F: Future<Output = Result<(), StartError>>,
    {
        huge_pages::disable();
        let environment = Environment::of_process();
        let environment =
            if migrate_only { environment.with_defaults(&NOT_FOR_MIGRATION) } else { environment };
        let mut problems = Problems::default();
        let telemetry = TelemetryConfig::from_environment(&environment, &mut problems);
        let lifecycle = LifecycleConfig::from_environment(&environment, &mut problems);
        let config = (self.configure)(&environment, &mut problems);
        let (Some(telemetry), Some(lifecycle), Some(config), []) =
            (telemetry, lifecycle, config, problems.lines())
        else {
            return self.report(&problems);
        };
        install_tls();
        let telemetry = match Telemetry::start(self.service.name(), self.commit, &telemetry) {
            Ok(telemetry) => telemetry,
            Err(error) => {
                eprintln!("{}: {error}", self.service);
                return ExitCode::from(EXIT_CONFIG);
            }
        };
        open_files::raise_limit();
        let runtime = match Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => {
                error!(%error, "the runtime could not be started");
                return ExitCode::FAILURE;
            }
        };
        let code = runtime.block_on(self.live(lifecycle, migrate_only, |parts| start(config, parts)));
        runtime.shutdown_timeout(Duration::from_millis(100));
        if let Err(error) = telemetry.shutdown(TELEMETRY_TIMEOUT) {
            eprintln!("{}: the last of the telemetry was not sent: {error}", self.service);
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
        info!(version = env!("CARGO_PKG_VERSION"), "{} starts", self.service);
        let lifecycle = Lifecycle::begin(migrate_only);
        if let Err(error) = start(lifecycle.clone()).await {
            error!(%error, "{} can't start", self.service);
            return ExitCode::FAILURE;
        }
        if migrate_only || lifecycle.end(&config).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn has_database(&self) -> bool {
        Service::WITH_DATABASE.contains(&self.service)
    }

    fn help(&self) -> String {
        use std::fmt::Write;

        let mut help = format!("{}: {}\n\n", self.service, self.about);
        help.push_str("Options: --help, --version");
        if self.has_database() {
            help.push_str(", --migrate-only (bring the database schema up to date and end)");
        }
        help.push_str("\n\nConfigured by environment variables; each may be given as NAME_FILE, the path of a file that holds the value.\n\n");
        help.push_str("| variable | default | meaning |\n|---|---|---|\n");
        let shared = [LifecycleVariables::VARIABLES, LogVariables::VARIABLES, MetricVariables::VARIABLES];
        for variable in self.variables.iter().chain(&shared).copied().flatten() {
            let default = variable.default.map_or_else(String::new, |default| format!("`{default}`"));
            // Writing to a String can't fail.
            let _ = writeln!(help, "| `{}` | {default} | {} |", variable.name(), variable.about.trim());
        }
        help.push_str("\nTraces are configured by the standard OTEL_* variables, first of all OTEL_EXPORTER_OTLP_ENDPOINT.\n");
        help
    }

    fn refuse(&self, arguments: &str) -> ExitCode {
        eprintln!("{}: don't know what to do with {arguments}; try --help", self.service);
        ExitCode::from(EXIT_USAGE)
    }

    /// Prints what is wrong with the configuration.
    fn report(&self, problems: &Problems) -> ExitCode {
        let count = problems.lines().len();
        let mistakes = if count == 1 { "a mistake" } else { "mistakes" };
        eprintln!("{0}: the configuration has {mistakes} (see {0} --help):", self.service);
        for line in problems.lines() {
            eprintln!("  {line}");
        }
        ExitCode::from(EXIT_CONFIG)
    }
}

/// Makes ring the process's TLS provider, for the HTTP client that names none itself.
fn install_tls() {
    // Fails only if one is installed already, which serves as well.
    rustls::crypto::ring::default_provider().install_default().ok();
}
