//! A crash at each named point, at moments drawn at random, three times in a row. The points are compiled in for this.

use std::os::unix::process::ExitStatusExt;

use contracts::topology::Service;
use rand::RngExt;
use rustix::process::Signal;

use super::scenario;
use crate::faults::launch::Plan;
use crate::faults::load::Load;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// The variable that names the point.
const CRASH_AT: &str = "PAYSAGA_CRASH_AT";

const CRASHES: u32 = 3;

const MIGRATION: &str = "during-migration";
const DRAIN: &str = "during-drain";

/// Every point, with the services that pass it.
const POINTS: [(&str, &[Service]); 10] = [
    ("before-commit", &[Service::Order, Service::Payment]),
    ("after-commit-before-publish", &[Service::Order, Service::Payment]),
    ("after-publish-before-confirm", &[Service::Gateway, Service::Order, Service::Payment]),
    ("after-confirm-before-delete", &[Service::Order, Service::Payment]),
    ("after-delivery-before-commit", &[Service::Order, Service::Payment]),
    ("after-commit-before-ack", &[Service::Order, Service::Payment]),
    ("after-lease-before-provider-call", &[Service::Payment]),
    ("after-provider-call-before-commit", &[Service::Payment]),
    (MIGRATION, &[Service::Order, Service::Payment]),
    (DRAIN, &[Service::Gateway, Service::Order, Service::Payment]),
];

pub(super) fn scenarios() -> Vec<Scenario> {
    let pairs = POINTS
        .into_iter()
        .flat_map(|(point, services)| services.iter().map(move |service| (point, *service)));
    pairs
        .map(|(point, service)| {
            let mut crash = scenario(format!("crash of {service} {}", point.replace('-', " ")), move |rig| {
                Box::pin(crash(rig, service, point))
            });
            crash.failpoints = true;
            crash
        })
        .collect()
}

async fn crash(rig: &mut Rig<'_>, service: Service, point: &'static str) -> Outcome {
    let plan = Plan { failpoint: Some((service, CRASH_AT, passing(rig, point))), ..Plan::default() };
    // Some points are passed before a service is ready, so nothing waits for that.
    rig.launch(&plan).await;
    let load = rig.load();
    for crash in 1..=CRASHES {
        crashes(rig, service, point, &load).await;
        let next = (crash < CRASHES).then(|| passing(rig, point));
        let process = rig.first_of(service);
        match next {
            Some(point) => process.environment_mut().insert(CRASH_AT.to_owned(), point),
            None => process.environment_mut().remove(CRASH_AT),
        };
        process.launch_again();
    }
    rig.fault_is_over();
    rig.all_ready().await;
    load.wait_for_orders(10).await;
    let records = load.stop().await;
    rig.judge(records).await
}

/// The passing of the point at which the service crashes. Start and end of a process are passed once.
fn passing(rig: &mut Rig<'_>, point: &str) -> String {
    match point {
        MIGRATION | DRAIN => point.to_owned(),
        _ => format!("{point}#{}", rig.random.random_range(1..=12)),
    }
}

/// Waits until the service has crashed, and checks that it was this crash.
async fn crashes(rig: &mut Rig<'_>, service: Service, point: &str, load: &Load) {
    if point == DRAIN {
        load.wait_for_orders(10).await;
        let process = rig.first_of(service);
        process.ready().await;
        process.signal(Signal::TERM);
    }
    let status = rig.first_of(service).ended().await;
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{service} crashes {point}: {status}");
}
