//! `kill -9` at random moments.

use contracts::topology::Service;
use rand::RngExt;
use strum::VariantArray;

use super::{only_short, scenario};
use crate::faults::launch::Plan;
use crate::faults::load::Load;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario("100 random kills", |rig| Box::pin(random_kills(rig, 100))),
        only_short(scenario("5 random kills", |rig| Box::pin(random_kills(rig, 5)))),
    ]
}

/// Kills a service drawn at random again and again, and starts it again as a supervisor would: at once.
async fn random_kills(rig: &mut Rig<'_>, kills: u32) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(20).await;
    for _ in 0..kills {
        let service = Service::VARIANTS[rig.random.random_range(0..Service::VARIANTS.len())];
        kill_and_restart(rig, &load, service).await;
    }
    rig.fault_is_over();
    let records = load.stop().await;
    rig.judge(records).await.note(format!("{kills} kills"))
}

/// The next kill comes once a few more orders were accepted: in the middle of what the last one left behind.
async fn kill_and_restart(rig: &mut Rig<'_>, load: &Load, service: Service) {
    let orders = rig.random.random_range(1..12);
    load.wait_for_orders(orders).await;
    let process = rig.first_of(service);
    process.kill().await;
    process.launch_again();
}
