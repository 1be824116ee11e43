//! `paysaga up`, with stand-ins for the services and infrastructure that is given, so that no server is needed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../../local-stack/tests/left_behind/mod.rs"]
mod left_behind;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use left_behind::{processes_of, wait_until_no_process_of};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PAYSAGA: &str = env!("CARGO_BIN_EXE_paysaga");

/// A folder with stand-ins for the three services, and a place for data.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        let stand_in = Path::new(PAYSAGA).with_file_name("examples").join("stand_in_service");
        let folder = tempfile::tempdir().unwrap();
        for service in ["gateway", "order", "payment"] {
            fs::copy(&stand_in, folder.path().join(service)).unwrap();
        }
        Self(folder)
    }

    /// How a service is to behave, see `examples/stand_in_service.rs`.
    fn with(self, service: &str, behaviour: &str) -> Self {
        fs::write(self.0.path().join(service).with_extension("behaviour"), behaviour).unwrap();
        self
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn up(&self) -> Command {
        let mut command = Command::new(PAYSAGA);
        command
            .args(["up", "--gateway-port", "0", "--order-port", "0", "--payment-port", "0"])
            .arg("--bin-dir")
            .arg(self.0.path())
            .arg("--directory")
            .arg(self.data())
            .env("RABBITMQ_URL", "amqp://given")
            .env("ORDER_DATABASE_URL", "postgres://given/order")
            .env("PAYMENT_DATABASE_URL", "postgres://given/payment")
            .env("JAEGER_BIN", "")
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A command that works on the stack that runs here.
    fn failed_list(&self) -> Command {
        let mut command = Command::new(PAYSAGA);
        command.args(["failed", "list", "--directory"]).arg(self.data()).env_remove("PAYSAGA_GATEWAY");
        command
    }

    /// Starts it and waits until it prints that everything is up.
    fn running(&self) -> Running {
        let (running, _) = welcomed(&mut self.up());
        assert_eq!(processes_of(&[&self.data()]).len(), 4, "the command and three services");
        running
    }

    fn variables_of(&self, service: &str) -> Vec<(String, String)> {
        let log = fs::read_to_string(self.data().join("log").join(service).with_extension("log")).unwrap();
        serde_json::from_str(log.lines().next().unwrap()).unwrap()
    }
}

struct Running(Child);

/// Starts it and waits until it prints that everything is up; also returns what it prints then.
fn welcomed(up: &mut Command) -> (Running, String) {
    let mut child = up.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut welcome = String::new();
    while !welcome.contains("Ctrl-C stops everything") {
        assert_ne!(output.read_line(&mut welcome).unwrap(), 0, "{welcome}");
    }
    (Running(child), welcome)
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for its end; returns its exit code and its standard error until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.0.wait().unwrap().code(), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn everything_stops_on_a_signal_the_gateway_first() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = Workplace::new();
        let running = place.running();
        running.signal(signal);
        let (code, stderr) = running.end();
        assert_eq!(code, Some(0), "{stderr}");
        let stopped: Vec<&str> = stderr.lines().filter(|line| line.contains("stopped")).collect();
        assert!(stopped.len() == 3 && stopped[0].contains("gateway"), "{stderr}");
        assert_eq!(processes_of(&[&place.data()]), [""; 0]);
    }
}

#[test]
fn services_get_what_they_need_and_nothing_else_of_the_environment() {
    let place = Workplace::new();
    let mut up = place.up();
    up.env("PROVIDER_LATENCY_MS", "5").env("AWS_SECRET_ACCESS_KEY", "hush").env_remove("SSL_CERT_FILE");
    up.env_remove("SSL_CERT_DIR").env_remove("RUST_LOG").env("TZ", "UTC").env("HOME", "/");
    let (_running, _) = welcomed(&mut up);
    let names = |service| place.variables_of(service).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let order = [
        "DATABASE_URL",
        "HOME",
        "LISTEN_ADDRESS",
        "LOG_FORMAT",
        "MANAGEMENT_ADDRESS",
        "PATH",
        "PAYSAGA_DIRECTORY",
        "PORT",
        "PROVIDER_LATENCY_MS",
        "RABBITMQ_URL",
        "SERVICE_TOKEN",
        "TZ",
    ];
    assert_eq!(names("order"), order);
    assert_eq!(names("payment"), order);
    let gateway = names("gateway");
    assert!(
        gateway.contains(&"ORDER_SERVICE_URL".to_owned()) && !gateway.contains(&"DATABASE_URL".to_owned())
    );
    assert!(
        place
            .variables_of("order")
            .contains(&("DATABASE_URL".to_owned(), "postgres://given/order".to_owned()))
    );
}

#[test]
fn the_callers_endpoint_for_traces_is_used_instead_of_a_jaeger() {
    let place = Workplace::new();
    let mut up = place.up();
    up.env("JAEGER_BIN", place.0.path().join("order")).env("OTEL_SERVICE_NAME", "one-for-all");
    up.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318").env("OTEL_TRACES_SAMPLER", "always_on");
    let (_running, welcome) = welcomed(&mut up);
    assert!(welcome.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !welcome.contains("Jaeger"), "{welcome}");
    assert!(!place.data().join("log/jaeger.log").exists());
    let variables = place.variables_of("order");
    let of_traces: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with("OTEL_")).collect();
    let expected =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"), ("OTEL_TRACES_SAMPLER", "always_on")];
    assert_eq!(of_traces, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn no_jaeger_is_started_if_its_program_is_empty() {
    let place = Workplace::new();
    let mut up = place.up();
    // The one that would be found.
    let path = env::var_os("PATH").unwrap();
    let path = iter::once(place.0.path().to_owned()).chain(env::split_paths(&path));
    up.env("PATH", env::join_paths(path).unwrap());
    fs::copy(place.0.path().join("order"), place.0.path().join("jaeger")).unwrap();
    let (running, welcome) = welcomed(&mut up);
    assert!(!welcome.contains("Jaeger"), "{welcome}");
    drop(running);
    let (_running, welcome) = welcomed(up.env_remove("JAEGER_BIN"));
    assert!(welcome.contains("Jaeger      http://127.0.0.1:"), "{welcome}");
    assert!(welcome.contains("data/log.previous"), "{welcome}");
}

#[test]
fn traces_are_in_memory_if_jaeger_can_not_keep_them_and_that_is_said() {
    let place = Workplace::new().with("jaeger", "only-in-memory");
    fs::copy(place.0.path().join("order"), place.0.path().join("jaeger")).unwrap();
    let mut up = place.up();
    let (running, welcome) = welcomed(up.env("JAEGER_BIN", place.0.path().join("jaeger")));
    assert!(welcome.contains("Jaeger      http://127.0.0.1:"), "{welcome}");
    running.signal(Signal::TERM);
    let (_, stderr) = running.end();
    assert!(stderr.contains("! Jaeger") && stderr.contains("only until this one ends"), "{stderr}");
}

#[test]
fn a_service_that_ends_is_named_with_its_status_and_log_and_the_rest_is_stopped() {
    let place = Workplace::new().with("order", "ends");
    let (code, stderr) = place.running().end();
    assert_eq!(code, Some(1));
    for expected in
        ["order ended by itself (exit status: 7)", "out of ink", "gateway    stopped", "payment    stopped"]
    {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    assert_eq!(processes_of(&[&place.data()]), [""; 0]);
}

#[test]
fn a_second_signal_kills_a_service_that_ignores_the_first() {
    let place = Workplace::new().with("payment", "ignores-sigterm");
    let mut running = place.running();
    running.signal(Signal::INT);
    // The second signal must not arrive before the first was handled.
    let mut errors = BufReader::new(running.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("again to stop at once") {
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "{line}");
    }
    running.signal(Signal::INT);
    let begun = std::time::Instant::now();
    running.0.wait().unwrap();
    assert!(begun.elapsed().as_secs() < 10, "it waited for the service");
    assert_eq!(processes_of(&[&place.data()]), [""; 0]);
}

#[test]
fn no_service_outlives_a_killed_command() {
    let place = Workplace::new();
    let running = place.running();
    running.signal(Signal::KILL);
    running.end();
    wait_until_no_process_of(&[&place.data()]);
}

#[test]
fn what_runs_is_in_a_file_for_its_user_alone_until_it_stops() {
    let place = Workplace::new();
    let running = place.running();
    let file = place.data().join("stack.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains("postgres://given/order"));
    let found = format!("using the stack that runs in {} (gateway http://127.0.0.1:", place.data().display());
    let failed = place.failed_list().output().unwrap();
    assert!(stderr(&failed).contains(&found), "{}", stderr(&failed));
    running.signal(Signal::TERM);
    running.end();
    assert!(!file.exists());
    let failed = place.failed_list().output().unwrap();
    assert!(stderr(&failed).contains("no stack runs in"), "{}", stderr(&failed));
}

#[test]
fn what_a_killed_command_left_behind_is_not_used() {
    let place = Workplace::new();
    let running = place.running();
    running.signal(Signal::KILL);
    running.end();
    assert!(place.data().join("stack.json").exists());
    let failed = place.failed_list().output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("no stack runs in"), "{}", stderr(&failed));
    // In the usual directory it is not used either; the usual address is asked instead.
    wait_until_no_process_of(&[&place.data()]);
    fs::rename(place.data(), place.0.path().join(".paysaga")).unwrap();
    let mut list = Command::new(PAYSAGA);
    let list = list.args(["failed", "list"]).current_dir(&place.0).env_remove("PAYSAGA_GATEWAY");
    let failed = list.output().unwrap();
    assert!(!stderr(&failed).contains("using the stack"), "{}", stderr(&failed));
}

#[test]
fn the_second_command_in_a_directory_is_refused_with_the_process_of_the_first() {
    let place = Workplace::new();
    let first = place.running();
    let second = place.up().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("a paysaga is running there (process {})", first.0.id());
    assert!(stderr(&second).contains(&expected), "{}", stderr(&second));
}

#[test]
fn a_service_that_is_not_built_is_named_with_what_to_do() {
    let place = Workplace::new();
    fs::remove_file(place.0.path().join("payment")).unwrap();
    let output = place.up().env("PATH", "/usr/bin:/bin").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the service `payment`") && stderr(&output).contains("cargo build"));
}
