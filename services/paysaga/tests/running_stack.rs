//! The commands that work on a running stack, in the folder that it was started in, with the real services and servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PAYSAGA: &str = env!("CARGO_BIN_EXE_paysaga");

/// A running `paysaga up` in a folder of its own, on ports that are not the usual ones.
struct Stack {
    child: Child,
    folder: TempDir,
    gateway: String,
    jaeger: String,
}

impl Stack {
    fn start() -> Self {
        build_services();
        // Mode 0755: otherwise, as root, PostgreSQL's data would be outside the folder, and stay there.
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        let mut child = Command::new(PAYSAGA)
            .args(["up", "--gateway-port", "0", "--order-port", "0", "--payment-port", "0"])
            .current_dir(&folder)
            .env("JAEGER_BIN", Path::new(PAYSAGA).with_file_name("examples").join("stand_in_service"))
            .env("PROVIDER_LATENCY_MS", "0")
            .env("PROVIDER_TIMEOUT", "2s")
            .env_remove("PROVIDER_APPROVAL_RATE")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let welcome: Vec<String> = lines.take_while(|line| !line.contains("Ctrl-C")).collect();
        let address = |of: &str| {
            let line = welcome.iter().find_map(|line| line.trim().strip_prefix(of));
            line.unwrap_or_else(|| panic!("no {of} is running; see above")).trim().to_owned()
        };
        let (gateway, jaeger) = (address("gateway"), address("Jaeger"));
        Self { child, folder, gateway, jaeger }
    }

    /// A command in the folder that the stack was started in.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PAYSAGA);
        command.args(arguments).current_dir(&self.folder);
        for variable in ["PAYSAGA_GATEWAY", "ORDER_DATABASE_URL", "PAYMENT_DATABASE_URL", "RABBITMQ_URL"] {
            command.env_remove(variable);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The JSON that a command prints that must succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        let found = format!("using the stack that runs in .paysaga (gateway {})", self.url());
        assert!(stderr(&output).contains(&found), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The gateway's base URL.
    fn url(&self) -> &str {
        self.gateway.strip_suffix("/api").unwrap()
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Its servers and services go with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// cargo builds this package's own program before its tests, not the services. All of them at once, as `./dev` builds
/// them: another choice of packages is another choice of features, and compiles half of the dependencies again.
fn build_services() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]);
    if Path::new(PAYSAGA).parent().unwrap().ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(status.success(), "the services can't be built");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_running_stack_is_shown_and_measured() {
    let stack = Stack::start();
    let orders = every_kind_of_order_ends_as_it_should(&stack);
    an_order_is_shown_with_its_correlation_id_and_traces(&stack, &orders[6]);
    an_order_that_does_not_settle_in_time_is_a_failure(&stack);
    every_order_of_the_bench_is_accounted_for(&stack);
    every_order_at_a_rate_is_accounted_for(&stack);
    the_servers_are_measured_alone(&stack);
    accepted_orders_that_do_not_settle_in_time_are_a_failure(&stack);
    the_check_looks_at_databases_and_queues(&stack);
    the_check_finds_the_stack_although_a_broker_is_given(&stack);
    an_address_that_is_given_is_used_instead(&stack);
    stack.stop();
}

fn every_kind_of_order_ends_as_it_should(stack: &Stack) -> Vec<Value> {
    let report = stack.json(&["demo", "--json"]);
    let orders = report["orders"].as_array().unwrap();
    let ends: Vec<[&str; 3]> = orders
        .iter()
        .map(|order| ["kind", "orderStatus", "paymentStatus"].map(|name| order[name].as_str().unwrap()))
        .collect();
    assert_eq!(
        ends,
        [
            ["approved", "PAID", "APPROVED"],
            ["declined", "CANCELLED", "DECLINED"],
            ["failed", "FAILED", "FAILED"],
            ["answer-lost", "PAID", "APPROVED"],
            ["slow", "PAID", "APPROVED"],
            ["cancelled-under-way", "CANCELLED", "REFUNDED"],
            ["cancelled-after-paid", "CANCELLED", "REFUNDED"],
            ["duplicate", "PAID", "APPROVED"],
        ]
    );
    for name in ["orderId", "traceId"] {
        let ids: HashSet<&str> = orders.iter().map(|order| order[name].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 8, "{name}: {ids:?}");
    }
    assert!(orders.iter().all(|order| order["settledMs"].as_u64().unwrap() > 0));
    assert!(
        orders[3]["settledMs"].as_u64().unwrap() >= 2000,
        "the lost answer was waited for: {}",
        orders[3]
    );
    for order in orders {
        let trace = format!("{}/trace/{}", stack.jaeger, order["traceId"].as_str().unwrap());
        assert_eq!(order["traceUrl"], trace.as_str());
    }
    assert_eq!(report["traceUrl"], orders[6]["traceUrl"]);
    orders.clone()
}

fn an_order_is_shown_with_its_correlation_id_and_traces(stack: &Stack, order: &Value) {
    let id = order["orderId"].as_str().unwrap();
    let shown = stack.json(&["order", id, "--json"]);
    assert_eq!((&shown["order"]["id"], &shown["payment"]["status"]), (&order["orderId"], &"REFUNDED".into()));
    assert_eq!(shown["events"].as_array().unwrap().len(), 6, "{shown}");
    // Which the gateway does not show: from the order service's database.
    assert_eq!(shown["traceId"], order["traceId"]);
    let correlation_id = shown["correlationId"].as_str().unwrap();
    assert_eq!(correlation_id.len(), 36);
    // From the stand-in for Jaeger.
    let page = format!("{}/trace/4bf92f3577b34da6a3ce929d0e0e4736", stack.jaeger);
    assert_eq!(shown["traces"][0]["url"], page.as_str());
    let text = String::from_utf8(stack.run(&["order", id]).stdout).unwrap();
    assert!(text.contains(&page) && text.contains(correlation_id), "{text}");
}

fn an_order_that_does_not_settle_in_time_is_a_failure(stack: &Stack) {
    let output = stack.run(&["demo", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr(&output);
    assert!(
        stderr.contains("orders went wrong") && stderr.contains("answer lost: should have become PAID"),
        "{stderr}"
    );
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("PENDING_PAYMENT") && table.contains('✗'), "{table}");
    assert_eq!(table.matches(&format!("{}/trace/", stack.jaeger)).count(), 8, "{table}");
}

fn every_order_of_the_bench_is_accounted_for(stack: &Stack) {
    let kinds = ["bench", "--single", "3", "--orders", "120", "--concurrency", "16", "--json", "--kinds"];
    let report = stack.json(&[&kinds[..], &["approved,declined,failed"]].concat());
    assert_eq!(report["single"]["orders"], 3);
    for (way, concurrency) in [("oneAtATime", 1), ("atOnce", 16)] {
        let way = &report[way];
        assert_eq!((&way["concurrency"], &way["accepted"]), (&concurrency.into(), &120.into()), "{way}");
        assert_eq!(way["sumsAreExact"], true, "{way}");
        let statuses = way["statuses"].as_object().unwrap();
        assert_eq!(statuses.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 120, "{way}");
        assert_eq!(statuses.keys().collect::<Vec<_>>(), ["CANCELLED", "FAILED", "PAID"]);
        assert!(
            way["settledPerSecond"].as_f64().unwrap() <= way["acceptedPerSecond"].as_f64().unwrap(),
            "{way}"
        );
    }
    assert!(report["ratio"]["settled"].as_f64().unwrap() > 0.0);
}

fn every_order_at_a_rate_is_accounted_for(stack: &Stack) {
    let options = ["bench", "--rate", "50", "--duration", "2s", "--rounds", "1", "--json"];
    let key = ["--against-api-key-file", ".paysaga/gateway/api-key"];
    let report = stack.json(&[&options[..], &key, &["--against", stack.url()]].concat());
    let runs = report["runs"].as_array().unwrap();
    for (run, of) in runs.iter().zip(["this", "other"]) {
        assert_eq!((&run["stack"], &run["accepted"], &run["refused"]), (&of.into(), &100.into(), &0.into()));
        assert_eq!(run["statuses"]["PAID"], 100, "{run}");
        let seconds = run["timeline"].as_array().unwrap();
        for counted in ["accepted", "settled"] {
            let total: u64 = seconds.iter().map(|second| second[counted].as_u64().unwrap()).sum();
            assert_eq!(total, 100, "{counted} in {run}");
        }
        assert_eq!(seconds.last().unwrap()["backlog"], 0, "{run}");
        for program in ["PostgreSQL", "RabbitMQ", "gateway", "order", "payment"] {
            assert!(run["usage"][program]["peakMemory"].as_u64().unwrap() > 1 << 20, "{program} in {run}");
        }
    }
    assert_eq!(runs.len(), 2);
}

fn the_servers_are_measured_alone(stack: &Stack) {
    let report = stack.json(&["bench", "--rate", "20", "--duration", "1s", "--ceilings", "--json"]);
    for ceiling in ["commits", "rows", "confirms"] {
        assert!(report["ceilings"][ceiling].as_f64().unwrap() > 1.0, "{ceiling}: {}", report["ceilings"]);
    }
    // Nothing is left of it.
    let again = stack.run(&["bench", "--rate", "20", "--duration", "1s", "--ceilings"]);
    let table = String::from_utf8(again.stdout).unwrap();
    assert!(table.contains("commits/s one after the other"), "{table}");
}

fn accepted_orders_that_do_not_settle_in_time_are_a_failure(stack: &Stack) {
    let output = stack.run(&["bench", "--single", "1", "--orders", "3", "--kinds", "slow", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr(&output);
    assert!(
        stderr.contains("3 accepted orders have not settled 1 s after the last was accepted: "),
        "{stderr}"
    );
    assert!(output.stdout.is_empty(), "there is nothing to show");
}

fn the_check_looks_at_databases_and_queues(stack: &Stack) {
    let report = stack.json(&["check", "--json"]);
    for behind_the_gateway in ["held", "outbox", "queued"] {
        assert!(!report[behind_the_gateway].is_null(), "{behind_the_gateway}: {report}");
    }
    assert_eq!(report["ok"], true, "{report}");
    assert!(report["orders"].as_u64().unwrap() > 200, "{report}");
    let table = String::from_utf8(stack.run(&["check"]).stdout).unwrap();
    assert!(table.contains("messages in queues") && !table.contains("not looked at"), "{table}");
}

/// The variable is exported in many a terminal, and `paysaga up` uses it too.
fn the_check_finds_the_stack_although_a_broker_is_given(stack: &Stack) {
    let running = fs::read_to_string(stack.folder.path().join(".paysaga/stack.json")).unwrap();
    let running: Value = serde_json::from_str(&running).unwrap();
    let check =
        |broker: &str| stack.command(&["check", "--json"]).env("RABBITMQ_URL", broker).output().unwrap();
    let same = check(running["rabbitmq_url"].as_str().unwrap());
    assert!(same.status.success(), "{}", stderr(&same));
    let report: Value = serde_json::from_slice(&same.stdout).unwrap();
    assert!(!report["held"].is_null() && !report["queued"].is_null(), "{report}");
    let other = check("amqp://other");
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("is not the broker of the stack that runs in"), "{}", stderr(&other));
}

fn an_address_that_is_given_is_used_instead(stack: &Stack) {
    let nothing_there = "nothing answers at http://127.0.0.1:1;";
    let option = stack.run(&["check", "--gateway", "http://127.0.0.1:1"]);
    assert!(stderr(&option).contains(nothing_there), "{}", stderr(&option));
    let variable = stack.command(&["demo"]).env("PAYSAGA_GATEWAY", "http://127.0.0.1:1").output().unwrap();
    assert!(stderr(&variable).contains(nothing_there), "{}", stderr(&variable));
    let database = stack.command(&["check"]).env("ORDER_DATABASE_URL", "postgres://other").output().unwrap();
    assert!(stderr(&database).contains("needs --payment-database-url"), "{}", stderr(&database));
    let trace = stack.json(&["demo", "--json", "--jaeger", "http://jaeger:16686/"])["traceUrl"].to_string();
    assert!(trace.starts_with("\"http://jaeger:16686/trace/"), "{trace}");
}
