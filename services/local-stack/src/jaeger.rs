//! A private Jaeger, if one is installed. Nothing depends on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
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

/// Where Jaeger keeps traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Until it ends.
    Memory,
    /// In this folder, for three days.
    Folder(PathBuf),
}

/// How long traces are kept in a folder, as Jaeger writes it.
const KEPT_FOR: &str = "72h";
/// Most bytes of former runs' traces that are kept, since Jaeger itself knows no bound but time. An order takes some 11 kB.
const MOST_KEPT: u64 = 2 << 30;

impl Storage {
    /// Traces are kept like everything else in a directory. In Jaeger's memory, a search for `error=true` would find nothing: it
    /// takes the text for a boolean there (seen with 2.13).
    #[must_use]
    pub fn of(directory: &Directory) -> Self {
        Self::Folder(directory.jaeger().join("traces"))
    }

    /// Deletes the traces of former runs if they have become too many. To be called while no Jaeger uses them.
    fn make_room(&self, most_kept: u64) -> Result<(), Error> {
        match self {
            Self::Folder(folder) if size_on_disk(folder) > most_kept => {
                fs::remove_dir_all(folder).map_err(failed("remove", folder))
            }
            Self::Memory | Self::Folder(_) => Ok(()),
        }
    }
}

/// What the files of a folder take. Jaeger's are sparse, and the size of some is 2 GB before anything is in them.
fn size_on_disk(folder: &Path) -> u64 {
    const BLOCK: u64 = 512;
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    files.filter_map(|file| file.metadata().ok()).map(|file| file.blocks() * BLOCK).sum()
}

/// A Jaeger server. It listens on 127.0.0.1 only.
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
    pub async fn start(program: &Path, directory: &Directory, storage: &Storage) -> Result<Self, Error> {
        const TIMEOUT: Duration = Duration::from_secs(30);
        // The addresses of traces that were kept should stay the same.
        let remembered = || Port::claim_remembered(&directory.jaeger().join("port"));
        let ui = Port::claim_number(USUAL_UI).map_or_else(remembered, Ok)?;
        let otlp = Port::claim_number(USUAL_OTLP).map_or_else(Port::claim, Ok)?;
        let grpc = Port::claim()?;
        storage.make_room(MOST_KEPT)?;
        let pages = program.parent().map(|folder| folder.join("jaeger-ui")).filter(|pages| pages.is_dir());
        let path = directory.jaeger().join("jaeger.yaml");
        let ports = Ports { ui: ui.number(), grpc: grpc.number(), otlp: otlp.number() };
        let configuration = render(ports, pages.as_deref(), storage);
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
fn render(ports: Ports, pages: Option<&Path>, storage: &Storage) -> String {
    let Ports { ui, grpc, otlp } = ports;
    // JSON's strings are YAML's too.
    let quoted = |path: &Path| serde_json::Value::from(path.display().to_string());
    let pages =
        pages.map_or_else(String::new, |pages| format!("    ui:\n      assets_path: {}\n", quoted(pages)));
    let storage = match storage {
        Storage::Memory => "{memory: {max_traces: 10000}}".to_owned(),
        Storage::Folder(folder) => {
            let folder = quoted(folder);
            format!(
                "{{badger: {{ephemeral: false, directories: {{keys: {folder}, values: {folder}}}, ttl: {{spans: {KEPT_FOR}}}}}}}"
            )
        }
    };
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
      traces: {storage}
  jaeger_query:
    storage: {{traces: traces}}
    http: {{endpoint: 127.0.0.1:{ui}}}
    grpc: {{endpoint: 127.0.0.1:{grpc}}}
{pages}receivers:
  otlp:
    protocols:
      http: {{endpoint: 127.0.0.1:{otlp}}}
processors:
  batch:
exporters:
  jaeger_storage_exporter: {{trace_storage: traces}}
"
    )
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::time::Instant;

    use contracts::Timestamp;
    use reqwest::Client;
    use serde_json::{Value, json};

    use super::*;
    use crate::services::environment::on_one_host;

    const PORTS: Ports = Ports { ui: 20_001, grpc: 20_002, otlp: 20_003 };

    #[test]
    fn everything_listens_on_the_loopback_address() {
        let configuration = render(PORTS, None, &Storage::Memory);
        assert_eq!(
            configuration.matches("endpoint: 127.0.0.1:").count(),
            configuration.matches("endpoint:").count()
        );
        assert!(!configuration.contains("assets_path"));
    }

    #[test]
    fn pages_that_were_built_are_served() {
        let configuration = render(PORTS, Some(Path::new("/home/me/jaeger-ui")), &Storage::Memory);
        assert!(configuration.contains("    ui:\n      assets_path: \"/home/me/jaeger-ui\"\nreceivers:"));
    }

    #[test]
    fn traces_are_in_the_folder_that_is_given() {
        let folder = Storage::Folder(PathBuf::from("/data/jaeger: 1"));
        let configuration = render(PORTS, None, &folder);
        assert!(
            configuration.contains(r#"{keys: "/data/jaeger: 1", values: "/data/jaeger: 1"}"#),
            "{configuration}"
        );
        assert!(!configuration.contains("memory"));
    }

    #[test]
    fn traces_that_take_too_much_are_deleted_and_a_sparse_file_takes_what_is_written_in_it() {
        const MOST: u64 = 1 << 16;
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("traces");
        let storage = Storage::Folder(folder.clone());
        storage.make_room(MOST).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::File::create(folder.join("000001.vlog")).unwrap().set_len(2 * MOST).unwrap();
        storage.make_room(MOST).unwrap();
        assert!(folder.is_dir());
        fs::write(folder.join("000001.sst"), vec![1; 2 << 16]).unwrap();
        storage.make_room(MOST).unwrap();
        assert!(!folder.exists());
    }

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const OF_SEVERAL_HOSTS: &str = "0af7651916cd43dd8448eb211c80319c";

    #[tokio::test]
    #[ignore = "needs ./dev jaeger"]
    async fn traces_outlast_jaeger_and_one_host_has_no_clock_skew() {
        let folder = tempfile::tempdir().unwrap();
        let installation = Installation::of_this_machine();
        let cache = Path::new(&env::var_os("HOME").unwrap()).join(".cache/paysaga");
        let program = find(&installation, Some(&cache)).unwrap();
        let directory = Directory::persistent(&folder.path().join("data"), &installation).await.unwrap();
        let storage = Storage::of(&directory);
        let http = http::client().unwrap();

        let mut jaeger = Jaeger::start(&program, &directory, &storage).await.unwrap();
        let traces = format!("{}/v1/traces", jaeger.otlp_url());
        for (trace, attributes) in [(TRACE, on_one_host(None)), (OF_SEVERAL_HOSTS, String::new())] {
            let sent = http.post(&traces).json(&step_after_step(trace, &attributes)).send().await.unwrap();
            assert!(sent.status().is_success(), "{sent:?}");
        }
        warnings(&http, &jaeger, TRACE).await;
        warnings(&http, &jaeger, OF_SEVERAL_HOSTS).await;
        jaeger.stop().await.unwrap();

        let mut jaeger = Jaeger::start(&program, &directory, &storage).await.unwrap();
        assert_eq!(warnings(&http, &jaeger, TRACE).await, [""; 0]);
        let skew = warnings(&http, &jaeger, OF_SEVERAL_HOSTS).await;
        assert!(skew.len() == 1 && skew[0].contains("clock skew"), "{skew:?}");
        jaeger.stop().await.unwrap();
    }

    /// A span of the gateway and, caused by it, one of the order service that begins when the first has ended.
    fn step_after_step(trace: &str, attributes: &str) -> Value {
        let attribute = |(key, value): (&str, &str)| json!({"key": key, "value": {"stringValue": value}});
        let now = Timestamp::now();
        let nanoseconds =
            |later| (now + Duration::from_millis(later)).as_datetime().unix_timestamp_nanos().to_string();
        let span = |service: &str, id: &str, parent: &str, from: u64| {
            let attributes = attributes.split(',').filter_map(|pair| pair.split_once('='));
            let attributes: Vec<Value> =
                attributes.chain([("service.name", service)]).map(attribute).collect();
            json!({
                "resource": {"attributes": attributes},
                "scopeSpans": [{"spans": [{
                    "traceId": trace, "spanId": id, "parentSpanId": parent, "name": service, "kind": 1,
                    "startTimeUnixNano": nanoseconds(from), "endTimeUnixNano": nanoseconds(from + 10),
                }]}],
            })
        };
        let gateway = span("gateway", "00f067aa0ba902b7", "", 0);
        json!({"resourceSpans": [gateway, span("order", "b7ad6b7169203331", "00f067aa0ba902b7", 10)]})
    }

    /// What Jaeger has to say about the spans of a trace, once it has both.
    async fn warnings(http: &Client, jaeger: &Jaeger, trace: &str) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let answer = http.get(format!("{}/api/traces/{trace}", jaeger.url())).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            let spans = answer["data"][0]["spans"].as_array().cloned().unwrap_or_default();
            if spans.len() == 2 {
                let warnings = spans.iter().filter_map(|span| span["warnings"].as_array()).flatten();
                return warnings.filter_map(Value::as_str).map(str::to_owned).collect();
            }
            assert!(Instant::now() < deadline, "Jaeger does not have the trace: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
