//! Runs scenarios one after the other.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::oracle::Outcome;
use super::rig::{Programs, Rig};
use super::servers::Servers;
use super::table::Row;

/// Something that is broken, and what must hold afterwards.
#[derive(Clone)]
pub struct Scenario {
    /// What is broken, as the table names it.
    pub name: String,
    /// Whether it belongs to the whole suite.
    pub long: bool,
    /// Whether it belongs to the short form, which is part of the tests.
    pub short: bool,
    /// Whether it needs programs with failpoints.
    pub failpoints: bool,
    /// How many nodes of RabbitMQ it needs.
    pub nodes: usize,
    /// Does so.
    pub run: Run,
}

/// What a scenario does.
pub type Run = std::sync::Arc<dyn for<'r> Fn(&'r mut Rig<'_>) -> LocalBoxFuture<'r, Outcome> + Send + Sync>;

/// Runs one scenario on databases, a virtual host and services of its own.
pub async fn run(scenario: &Scenario, servers: &mut Servers, programs: &Programs, seed: u64) -> Row {
    let started = Instant::now();
    // Its own seed, whichever others run before it.
    let seed = scenario
        .name
        .bytes()
        .fold(seed, |seed, byte| seed.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(byte));
    let mut rig = Rig::new(servers, programs, seed).await;
    let ended = AssertUnwindSafe((scenario.run)(&mut rig)).catch_unwind().await;
    let outcome = ended.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        let violation = format!("the scenario panicked: {}", words.unwrap_or_default());
        Outcome { violations: vec![violation], ..Outcome::default() }
    });
    let good = outcome.is_good();
    eprintln!(
        "  {} {} ({} orders, {:.0} s)",
        if good { "ok" } else { "FAILED" },
        scenario.name,
        outcome.accepted,
        started.elapsed().as_secs_f64()
    );
    for note in &outcome.notes {
        eprintln!("    {note}");
    }
    for violation in &outcome.violations {
        eprintln!("    violation: {violation}");
    }
    if !good {
        let Outcome { lost, double_charged, stuck, .. } = outcome;
        eprintln!("    lost {lost}, double-charged {double_charged}, stuck {stuck}");
        eprintln!("    the services' logs are kept in {}", rig.keep_logs().display());
    }
    rig.discard().await;
    Row { fault: scenario.name.clone(), outcome }
}
