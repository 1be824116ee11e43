//! A private Jaeger, if one is installed. Nothing depends on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::directory::Directory;
use crate::error::{Error, failed};
use crate::http;
use crate::installation::Installation;
use crate::ports::Port;
use crate::process::{Process, ProcessError, StopPolicy, StopSignal, Stopped};
use crate::secret::write_private;

const NAME: &str = "Jaeger";
const STOP_POLICY: StopPolicy = StopPolicy {
    signal: StopSignal::Terminate,
    timeout: Duration::from_secs(10),
    parent_death_signal: StopSignal::Terminate,
};
/// Jaeger's usual ports, taken when they are free so that its address is the one in every tutorial.
const USUAL_UI: u16 = 16_686;
const USUAL_OTLP: u16 = 4318;

/// A Jaeger server that keeps traces in memory. It listens on 127.0.0.1 only.
#[derive(Debug)]
pub struct Jaeger {
    ui: Port,
    otlp: Port,
    process: Process,
    _grpc: Port,
}

/// The Jaeger on `PATH`, else the one that `./dev jaeger` built into `cache` (`~/.cache/paysaga`).
#[must_use]
pub fn find(installation: &Installation, cache: Option<&Path>) -> Option<PathBuf> {
    let built = || Some(cache?.join("jaeger")).filter(|jaeger| jaeger.is_file());
    installation.on_path("jaeger").or_else(built)
}

impl Jaeger {
    /// Starts Jaeger and waits until it answers. If pages were built next to the program (`jaeger-ui/`), they are
    /// served instead of the placeholder in it.
    pub async fn start(program: &Path, directory: &Directory) -> Result<Self, Error> {
        const TIMEOUT: Duration = Duration::from_secs(30);
        let usual_or_free = |usual| Port::claim_number(usual).map_or_else(Port::claim, Ok);
        let (ui, otlp, grpc) = (usual_or_free(USUAL_UI)?, usual_or_free(USUAL_OTLP)?, Port::claim()?);
        let pages = program.parent().map(|folder| folder.join("jaeger-ui")).filter(|pages| pages.is_dir());
        let path = directory.jaeger().join("jaeger.yaml");
        let ports = Ports { ui: ui.number(), grpc: grpc.number(), otlp: otlp.number() };
        let configuration = render(ports, pages.as_deref());
        write_private(&path, &configuration).map_err(failed("write", &path))?;
        let process = directory
            .launcher()
            .program(NAME, program, STOP_POLICY, None)
            .env("HOME", directory.jaeger())
            // It would trace itself too, to a gRPC port that is closed here, and try for 10 s when it stops.
            .env("OTEL_TRACES_SAMPLER", "always_off")
            .arg("--config")
            .arg(&path)
            .spawn(&directory.log("jaeger"))?;
        let http = http::client()?;
        let mut jaeger = Self { ui, otlp, process, _grpc: grpc };
        let services = format!("{}/api/services", jaeger.url());
        let answers = || async {
            let answer = http.get(&services).send().await.and_then(reqwest::Response::error_for_status);
            answer.map(drop).map_err(|error| error.to_string())
        };
        jaeger.process.ready(TIMEOUT, answers).await?;
        Ok(jaeger)
    }

    /// Its pages.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ui.number())
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` must be to send traces here.
    #[must_use]
    pub fn otlp_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp.number())
    }

    /// Waits until it ends without having been stopped.
    pub async fn ended(&mut self) -> ProcessError {
        self.process.ended().await
    }

    /// Stops it in order.
    pub async fn stop(&mut self) -> Result<Stopped, Error> {
        Ok(self.process.stop().await?)
    }
}

/// What Jaeger listens on.
#[derive(Clone, Copy)]
struct Ports {
    ui: u16,
    grpc: u16,
    otlp: u16,
}

/// A configuration for Jaeger 2: an OpenTelemetry collector with a query service. The collector's own metrics
/// are off, since they would listen on a port of their own.
fn render(ports: Ports, pages: Option<&Path>) -> String {
    let Ports { ui, grpc, otlp } = ports;
    let pages = pages.map_or_else(String::new, |pages| {
        format!("    ui:\n      assets_path: {}\n", serde_json::Value::from(pages.display().to_string()))
    });
    format!(
        "service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
extensions:
  jaeger_storage:
    backends:
      mem: {{memory: {{max_traces: 10000}}}}
  jaeger_query:
    storage: {{traces: mem}}
    http: {{endpoint: 127.0.0.1:{ui}}}
    grpc: {{endpoint: 127.0.0.1:{grpc}}}
{pages}receivers:
  otlp:
    protocols:
      http: {{endpoint: 127.0.0.1:{otlp}}}
processors:
  batch:
exporters:
  jaeger_storage_exporter: {{trace_storage: mem}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { ui: 20_001, grpc: 20_002, otlp: 20_003 };

    #[test]
    fn everything_listens_on_the_loopback_address() {
        let configuration = render(PORTS, None);
        assert_eq!(
            configuration.matches("endpoint: 127.0.0.1:").count(),
            configuration.matches("endpoint:").count()
        );
        assert!(!configuration.contains("assets_path"));
    }

    #[test]
    fn pages_that_were_built_are_served() {
        let configuration = render(PORTS, Some(Path::new("/home/me/jaeger-ui")));
        assert!(configuration.contains("    ui:\n      assets_path: \"/home/me/jaeger-ui\"\nreceivers:"));
    }
}
