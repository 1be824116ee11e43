//! `paysaga up`: the whole saga on this machine until Ctrl-C.

use std::env;
use std::ffi::OsString;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use clap::builder::OsStringValueParser;
use local_stack::interrupts::Interrupts;
use local_stack::services::{Ports, otlp_endpoint_of_caller};
use local_stack::stack::Addresses;
use local_stack::stack::plan::Plan;
use local_stack::{Directory, Installation, Stack, jaeger};

use super::infrastructure_urls::InfrastructureOptions;
use super::running_stack::default_directory;
use crate::progress::Progress;

/// Starts PostgreSQL, RabbitMQ and, if there is one, Jaeger, all private to this directory, then the services order,
/// payment and gateway. Everything stops on Ctrl-C (at once on a second one), and when any part ends by itself.
#[derive(Debug, Args)]
#[command(
    after_help = "Of the caller's environment the services get PROVIDER_*, RETENTION_*, SAGA_TIMEOUT, CONSOLE*, ENVIRONMENT_*, RUST_LOG, \
                        OTEL_* but OTEL_SERVICE_NAME, HOME, TZ, SSL_CERT_FILE, SSL_CERT_DIR and PATH.\n\n\
                        Traces go to OTEL_EXPORTER_OTLP_ENDPOINT if it is set, and to a private Jaeger otherwise, which keeps \
                        them for three days, over restarts too; with --ephemeral, until it stops.\n\n\
                        Logs are in log/ of the directory, those of the run before in log.previous/."
)]
pub(super) struct Up {
    /// Keep data, passwords and logs in this directory [default: `PAYSAGA_HOME`, else .paysaga]
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// Use a temporary directory and remove it, logs included, at the end
    #[arg(long, conflicts_with = "directory")]
    ephemeral: bool,
    /// Port of the gateway on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    gateway_port: u16,
    /// Port of the order service on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    order_port: u16,
    /// Port of the payment service on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 3002)]
    payment_port: u16,
    /// Jaeger to collect traces; empty for none [default: `jaeger` on PATH, else ~/.cache/paysaga/jaeger, which `./dev jaeger`
    /// builds, else none]
    // clap refuses an empty path, but not an empty text.
    #[arg(long, value_name = "PROGRAM", env = "JAEGER_BIN", value_parser = OsStringValueParser::new())]
    jaeger: Option<OsString>,
    /// Folder of the services' programs [default: the one this program is in, then PATH]
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
    // Last: the heading it brings holds for everything after it.
    #[command(flatten, next_help_heading = "Existing infrastructure, used instead of a private one")]
    existing: InfrastructureOptions,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Traces {
    /// To the caller's own endpoint.
    ToEndpointOfCaller,
    /// To a private Jaeger, whose program this is.
    ToJaeger(PathBuf),
    /// Nowhere, as the caller wants it.
    Off,
    /// Nowhere, since no Jaeger is installed.
    NoJaeger,
}

impl Up {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::listen().context("cannot listen to signals")?;
        let progress = Progress::new();
        let installation = Installation::of_this_machine();
        let directory = self.open_directory(&installation).await?;
        let traces = self.traces(&installation);
        let plan = self.plan(&traces)?;
        let mut stack = Stack::prepare(&installation, directory, plan)?;
        let ran = tokio::select! {
            () = interrupts.next() => Ok(()),
            failure = run_until_a_part_ends(&mut stack, &traces, &progress) => Err(failure),
        };
        match &ran {
            Ok(()) => progress.message("stopping; press Ctrl-C again to stop at once"),
            // Before the rest is stopped, which takes seconds: the operator should know why.
            Err(failure) => progress.message(&format!("paysaga: {failure:#}\nstopping the rest")),
        }
        let stopped = tokio::select! {
            stopped = stack.stop(&progress) => stopped,
            () = interrupts.next() => stack.kill(&progress).await,
        };
        stopped?;
        ran.map_err(|_| anyhow::anyhow!("stopped, because of the failure above"))
    }

    async fn open_directory(&self, installation: &Installation) -> Result<Directory, local_stack::Error> {
        if self.ephemeral {
            Directory::ephemeral(installation).await
        } else {
            let directory = self.directory.clone().unwrap_or_else(default_directory);
            Directory::persistent(&directory, installation).await
        }
    }

    fn traces(&self, installation: &Installation) -> Traces {
        if otlp_endpoint_of_caller().is_some() {
            return Traces::ToEndpointOfCaller;
        }
        let cache = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/paysaga"));
        match &self.jaeger {
            Some(program) if program.is_empty() => Traces::Off,
            Some(program) => Traces::ToJaeger(program.into()),
            None => jaeger::find(installation, cache.as_deref()).map_or(Traces::NoJaeger, Traces::ToJaeger),
        }
    }

    fn plan(self, traces: &Traces) -> anyhow::Result<Plan> {
        let home_of_programs = || {
            let own = env::current_exe().context("cannot find the folder of this program")?;
            Ok::<_, anyhow::Error>(own.parent().map(Path::to_owned).unwrap_or_default())
        };
        Ok(Plan {
            programs: self.bin_dir.map_or_else(home_of_programs, Ok)?,
            ports: Ports { gateway: self.gateway_port, order: self.order_port, payment: self.payment_port },
            existing: self.existing.read()?,
            jaeger: match traces {
                Traces::ToJaeger(program) => Some(program.clone()),
                Traces::ToEndpointOfCaller | Traces::Off | Traces::NoJaeger => None,
            },
        })
    }
}

/// Returns only when something has failed.
async fn run_until_a_part_ends(stack: &mut Stack, traces: &Traces, progress: &Progress) -> anyhow::Error {
    let begun = Instant::now();
    if let Err(error) = stack.start(progress).await {
        return error.into();
    }
    if let Err(error) = stdout().write_all(welcome(&stack.addresses(), traces, begun.elapsed()).as_bytes()) {
        return anyhow::Error::new(error).context("cannot print the addresses");
    }
    stack.ended(progress).await.into()
}

fn welcome(addresses: &Addresses, traces: &Traces, took: Duration) -> String {
    let Ports { gateway, order, payment } = addresses.ports;
    let management = addresses.management_ports;
    let mut lines = vec![
        String::new(),
        format!("paysaga is up ({:.1} s)", took.as_secs_f32()),
        String::new(),
        format!("  gateway     http://127.0.0.1:{gateway}/api"),
        format!("  console     http://127.0.0.1:{gateway}/console  (sign in with the API key)"),
        format!("  order       http://127.0.0.1:{order}"),
        format!("  payment     http://127.0.0.1:{payment}"),
        format!(
            "  management  http://127.0.0.1:{} (gateway), {} (order), {} (payment): /health/ready, /metrics",
            management.gateway, management.order, management.payment
        ),
    ];
    if let Some((url, password)) = &addresses.rabbitmq {
        lines.push(format!("  RabbitMQ    {url}  (user paysaga, password in {})", password.display()));
    }
    if let Some((port, password)) = &addresses.postgres {
        lines.push(format!(
            "  PostgreSQL  127.0.0.1:{port}  (user admin, password in {})",
            password.display()
        ));
    }
    match (traces, &addresses.jaeger) {
        (_, Some(url)) => lines.push(format!("  Jaeger      {url}")),
        (Traces::ToEndpointOfCaller, None) => {
            lines.push("  traces      to the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT".to_owned());
        }
        (Traces::NoJaeger, None) => {
            lines.push(
                "  Jaeger      none; `./dev jaeger` builds it once, and every order is a trace".to_owned(),
            );
        }
        // It was reported that it did not start.
        (Traces::Off | Traces::ToJaeger(_), None) => {}
    }
    let before =
        addresses.previous_logs.as_ref().map(|logs| format!("  (of the run before: {})", logs.display()));
    let header_file = addresses.key.header_file();
    lines.extend([
        format!("  logs        {}{}", addresses.logs.display(), before.unwrap_or_default()),
        format!("  API key     {}  (as curl sends it: -H @{})", addresses.key.expose(), header_file.display()),
        String::new(),
        "Place an order:".to_owned(),
        String::new(),
        format!(
            "  curl -s -X POST http://127.0.0.1:{gateway}/api/orders -H @{} -H 'content-type: application/json' \\",
            header_file.display()
        ),
        r#"    -d '{"userId":"3f2504e0-4f89-41d3-9a0c-0305e82c3301","total":999.99}'"#.to_owned(),
        String::new(),
        "Ctrl-C stops everything.".to_owned(),
        String::new(),
    ]);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use local_stack::gateway_key::GatewayKey;

    use super::*;

    fn addresses(folder: &Path) -> Addresses {
        Addresses {
            key: GatewayKey::load_or_create(folder.to_owned()).unwrap(),
            ports: Ports { gateway: 3000, order: 3001, payment: 3002 },
            management_ports: Ports { gateway: 4000, order: 4001, payment: 4002 },
            rabbitmq: None,
            postgres: None,
            jaeger: None,
            logs: PathBuf::from("/data/log"),
            previous_logs: None,
        }
    }

    #[test]
    fn only_what_runs_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let addresses =
            Addresses { jaeger: Some("http://127.0.0.1:16686".to_owned()), ..addresses(folder.path()) };
        let traces = Traces::ToJaeger(PathBuf::from("jaeger"));
        let welcome = welcome(&addresses, &traces, Duration::from_millis(6040));
        assert!(welcome.contains("paysaga is up (6.0 s)") && welcome.contains("http://127.0.0.1:16686"));
        assert!(welcome.contains(addresses.key.expose()));
        assert!(!welcome.contains("RabbitMQ") && !welcome.contains("PostgreSQL"));
        assert!(!welcome.contains("./dev jaeger") && !welcome.contains("the run before"));
    }

    #[test]
    fn without_a_jaeger_it_is_said_how_to_get_one_unless_none_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = addresses(folder.path());
        let hint = |traces| welcome(&addresses, &traces, Duration::ZERO).contains("./dev jaeger");
        assert!(hint(Traces::NoJaeger));
        assert!(!hint(Traces::Off));
        assert!(!hint(Traces::ToEndpointOfCaller));
    }

    #[test]
    fn the_logs_of_the_run_before_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let previous_logs = Some(PathBuf::from("/data/log.previous"));
        let addresses = Addresses { previous_logs, ..addresses(folder.path()) };
        assert!(welcome(&addresses, &Traces::Off, Duration::ZERO).contains("/data/log.previous"));
    }
}
