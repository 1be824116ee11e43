//! A crash at each named point, at moments drawn at random, three times in a row. The points are compiled in for this.

use std::os::unix::process::ExitStatusExt;

use contracts::topology::Service as Role;
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
const POINTS: [(&str, &[Role]); 10] = [
    ("before-commit", &[Role::Order, Role::Payment]),
    ("after-commit-before-publish", &[Role::Order, Role::Payment]),
    ("after-publish-before-confirm", &[Role::Gateway, Role::Order, Role::Payment]),
    ("after-confirm-before-delete", &[Role::Order, Role::Payment]),
    ("after-delivery-before-commit", &[Role::Order, Role::Payment]),
    ("after-commit-before-ack", &[Role::Order, Role::Payment]),
    ("after-lease-before-provider-call", &[Role::Payment]),
    ("after-provider-call-before-commit", &[Role::Payment]),
    (MIGRATION, &[Role::Order, Role::Payment]),
    (DRAIN, &[Role::Gateway, Role::Order, Role::Payment]),
];

pub(super) fn scenarios() -> Vec<Scenario> {
    let pairs = POINTS.into_iter().flat_map(|(point, roles)| roles.iter().map(move |role| (point, *role)));
    pairs
        .map(|(point, role)| {
            let mut crash = scenario(format!("crash of {role} {}", point.replace('-', " ")), move |rig| {
                Box::pin(crash(rig, role, point))
            });
            crash.failpoints = true;
            crash
        })
        .collect()
}

async fn crash(rig: &mut Rig<'_>, role: Role, point: &'static str) -> Outcome {
    let plan = Plan { crash: Some((role, passing(rig, point))), ..Plan::default() };
    // Some points are passed before a service is ready, so nothing waits for that.
    rig.launch(&plan).await;
    let load = rig.load();
    for crash in 1..=CRASHES {
        crashes(rig, role, point, &load).await;
        let next = (crash < CRASHES).then(|| passing(rig, point));
        let service = rig.one(role);
        match next {
            Some(point) => service.environment_mut().insert(CRASH_AT.to_owned(), point),
            None => service.environment_mut().remove(CRASH_AT),
        };
        service.launch_again();
    }
    rig.fault_is_over();
    rig.all_ready().await;
    load.more(10).await;
    let book = load.stop().await;
    rig.judge(book).await
}

/// Which passing of the point is the last. Start and end of a process are passed once.
fn passing(rig: &mut Rig<'_>, point: &str) -> String {
    match point {
        MIGRATION | DRAIN => point.to_owned(),
        _ => format!("{point}#{}", rig.random.random_range(1..=12)),
    }
}

/// Waits until the service has crashed, and makes sure that it was there.
async fn crashes(rig: &mut Rig<'_>, role: Role, point: &str, load: &Load) {
    if point == DRAIN {
        load.more(10).await;
        let service = rig.one(role);
        service.ready().await;
        service.signal(Signal::TERM);
    }
    let status = rig.one(role).ended().await;
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{role} crashes {point}: {status}");
}
