//! `paysaga demo` and `paysaga bench` with the real services and servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PAYSAGA: &str = env!("CARGO_BIN_EXE_paysaga");

/// A running `paysaga up`.
struct Stack {
    child: Child,
    gateway: String,
}

impl Stack {
    fn start() -> Self {
        build_services();
        let mut child = Command::new(PAYSAGA)
            .args(["up", "--ephemeral", "--gateway-port", "0", "--order-port", "0", "--payment-port", "0"])
            .env("JAEGER_BIN", "/nowhere/jaeger")
            .env("PROVIDER_LATENCY_MS", "0")
            .env("PROVIDER_TIMEOUT", "2s")
            .env_remove("PROVIDER_APPROVAL_RATE")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let gateway =
            lines.find_map(|line| line.trim().strip_prefix("gateway").map(|url| url.trim().to_owned()));
        let stack = Self { child, gateway: gateway.unwrap_or_default() };
        assert!(stack.gateway.starts_with("http://"), "it did not start; see above");
        stack
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PAYSAGA);
        command.args(arguments).args(["--gateway", &self.gateway]).output().unwrap()
    }

    /// The JSON that a command prints that must succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
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

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_running_stack_is_shown_and_measured() {
    let stack = Stack::start();
    every_kind_of_order_ends_as_it_should(&stack);
    an_order_that_is_not_at_its_end_in_time_is_a_failure(&stack);
    every_order_of_the_bench_is_accounted_for(&stack);
    accepted_orders_that_are_not_final_in_time_are_a_failure(&stack);
    stack.stop();
}

fn every_kind_of_order_ends_as_it_should(stack: &Stack) {
    let report = stack.json(&["demo", "--json", "--jaeger", "http://jaeger:16686/"]);
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
    let trace = format!("http://jaeger:16686/trace/{}", orders[6]["traceId"].as_str().unwrap());
    assert_eq!(report["traceUrl"], trace.as_str());
}

fn an_order_that_is_not_at_its_end_in_time_is_a_failure(stack: &Stack) {
    let output = stack.run(&["demo", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("orders went wrong") && said.contains("answer lost: should have become PAID"),
        "{said}"
    );
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("PENDING_PAYMENT") && table.contains('✗'), "{table}");
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

fn accepted_orders_that_are_not_final_in_time_are_a_failure(stack: &Stack) {
    let output = stack.run(&["bench", "--single", "1", "--orders", "3", "--kinds", "slow", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.contains("3 accepted orders are not final 1 s after the last was accepted: "), "{said}");
    assert!(output.stdout.is_empty(), "there is nothing to show");
}
