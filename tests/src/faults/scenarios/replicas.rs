//! Three replicas of each service, killed and restarted at random.

use contracts::topology::Service;
use rand::RngExt;
use rustix::process::Signal;

use super::scenario;
use crate::faults::launch::Plan;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![scenario("3 replicas of each, 60 killed or restarted at random", |rig| Box::pin(replicas(rig)))]
}

async fn replicas(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan { more_replicas: 2, ..Plan::default() }).await;
    let load = rig.load();
    load.wait_for_orders(30).await;
    let (mut kills, mut stops) = (0, 0);
    for _ in 0..60 {
        let orders = rig.random.random_range(1..12);
        load.wait_for_orders(orders).await;
        let number = rig.random.random_range(0..rig.services.len());
        let in_order = rig.random.random_bool(0.3);
        let process = &mut rig.services[number];
        if in_order {
            process.signal(Signal::TERM);
            process.ended().await;
            stops += 1;
        } else {
            process.kill().await;
            kills += 1;
        }
        process.launch_again();
    }
    rig.fault_is_over();
    let records = load.stop().await;
    let outcome = rig.judge(records).await;
    let alive =
        [Service::Gateway, Service::Order, Service::Payment].map(|service| rig.processes_of(service).count());
    outcome
        .note(format!("{kills} kills, {stops} restarts in order"))
        .expect(alive == [3; 3], "not three of each")
}
