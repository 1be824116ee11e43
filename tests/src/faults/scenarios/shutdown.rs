//! SIGTERM under load: two replicas of each service, restarted one after the other, as a deployment does.

use std::time::{Duration, Instant};

use contracts::topology::Queue;
use rustix::process::Signal;
use strum::VariantArray;

use super::{only_short, scenario};
use crate::faults::customer::TOO_MUCH_WAITS;
use crate::faults::launch::Plan;
use crate::faults::load::LoadPlan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// Messages that a consumer holds. Few, so that the bound on what is delivered again means something.
const PREFETCH: u64 = 50;

/// `REQUEST_TIMEOUT` of the gateways. Longer than a virtual machine or its disk stands still now and then: what is looked for are
/// requests that a stopping replica leaves without an answer, and they would wait for as long as this too.
const REQUEST_TIMEOUT_MS: u64 = 15_000;

/// `SHUTDOWN_TIMEOUT`.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario("SIGTERM to each of 2 replicas in turn, twice", |rig| Box::pin(rolling(rig, 2))),
        only_short(scenario("SIGTERM to each of 2 replicas in turn", |rig| Box::pin(rolling(rig, 1)))),
    ]
}

async fn rolling(rig: &mut Rig<'_>, rounds: u64) -> Outcome {
    let environment =
        vec![("PREFETCH", PREFETCH.to_string()), ("REQUEST_TIMEOUT", REQUEST_TIMEOUT_MS.to_string())];
    rig.start(&Plan { more_replicas: 1, environment, ..Plan::default() }).await;
    let load = rig.load_of(LoadPlan { customers: 16, pause_ms: 150, balanced: true, ..LoadPlan::default() });
    load.wait_for_orders(50).await;
    let mut violations = Vec::new();
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        for number in 0..rig.services.len() {
            load.wait_for_orders(20).await;
            let process = &mut rig.services[number];
            let signalled = Instant::now();
            process.signal(Signal::TERM);
            let status = process.ended().await;
            slowest = slowest.max(signalled.elapsed());
            if status.code() != Some(0) || signalled.elapsed() > DEADLINE {
                violations.push(format!(
                    "{} ended with {status} after {:?}",
                    process.service(),
                    signalled.elapsed()
                ));
            }
            process.start_again().await;
        }
    }
    rig.fault_is_over();
    let records = load.stop().await;
    let mut refusals = records.refusals.clone();
    // While a replica is away the others may have more to do than they can settle soon. That is no failure of a request.
    refusals.remove(TOO_MUCH_WAITS);
    // Each queue has two consumers that are stopped in each round.
    let bound = 2 * rounds * PREFETCH;
    let redelivered = redelivered(rig).await;
    let mut outcome = rig.judge(records).await;
    outcome.violations.extend(violations);
    let most = redelivered.iter().max().copied().unwrap_or_default();
    outcome
        .note(format!(
            "the slowest exit took {:.1} s; at most {most} messages of a queue were delivered again",
            slowest.as_secs_f64()
        ))
        .expect(refusals.is_empty(), "a request in flight failed")
        .expect(most <= bound, format!("more than {bound} messages of a queue were delivered again"))
}

/// How many messages of each queue were delivered more than once.
async fn redelivered(rig: &mut Rig<'_>) -> Vec<u64> {
    // RabbitMQ counts every five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let queues = rig.management().list("queues").await;
    let ours = queues
        .iter()
        .filter(|queue| Queue::VARIANTS.iter().any(|ours| queue["name"].as_str() == Some(ours.name())));
    ours.map(|queue| queue["message_stats"]["redeliver"].as_u64().unwrap_or_default()).collect()
}
