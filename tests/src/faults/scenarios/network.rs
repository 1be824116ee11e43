//! A bad network in front of everything.

use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

use super::scenario;
use crate::faults::launch::Plan;
use crate::faults::load::Load;
use crate::faults::oracle::Outcome;
use crate::faults::relay::Relay;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

/// How long a network is slow, or refuses connections.
const SLOW_FOR: Duration = Duration::from_secs(15);

/// How long a network stalls: longer than the timeouts of heartbeats and transactions.
const STALLED_FOR: Duration = Duration::from_secs(35);

/// What a slow network adds, in each direction.
const DELAY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum Place {
    Broker,
    Database,
    Http,
}

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Delays,
    Cuts,
    HalfCloses,
    Stalls,
    Refuses,
}

const CUTS: u32 = 10;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (place, in_front_of) in
        [(Place::Broker, "RabbitMQ"), (Place::Database, "PostgreSQL"), (Place::Http, "every HTTP service")]
    {
        for (disturbance, name) in [
            (Disturbance::Delays, "delays by 100 ms"),
            (Disturbance::Cuts, "cuts, 10 times"),
            (Disturbance::HalfCloses, "half-closes, 10 times"),
            (Disturbance::Stalls, "swallows everything for 35 s"),
            (Disturbance::Refuses, "refuses for 15 s"),
        ] {
            let name = format!("network to {in_front_of} {name}");
            let mut bad = scenario(name, move |rig| Box::pin(bad_network(rig, place, disturbance)));
            bad.short = matches!((place, disturbance), (Place::Broker, Disturbance::HalfCloses));
            scenarios.push(bad);
        }
    }
    scenarios
}

async fn bad_network(rig: &mut Rig<'_>, place: Place, disturbance: Disturbance) -> Outcome {
    rig.start(&Plan { relays: true, ..Plan::default() }).await;
    let load = rig.load();
    load.wait_for_orders(30).await;
    match disturbance {
        Disturbance::Delays => {
            for relay in relays(rig, place) {
                relay.delay(DELAY);
            }
            sleep(SLOW_FOR).await;
            for relay in relays(rig, place) {
                relay.delay(Duration::ZERO);
            }
        }
        Disturbance::Cuts => repeatedly(rig, &load, place, Relay::cut).await,
        Disturbance::HalfCloses => repeatedly(rig, &load, place, Relay::half_close).await,
        Disturbance::Stalls => for_duration(rig, place, STALLED_FOR, Relay::stall).await,
        Disturbance::Refuses => for_duration(rig, place, SLOW_FOR, Relay::refuse).await,
    }
    rig.judge_recovery(load).await
}

async fn repeatedly(rig: &mut Rig<'_>, load: &Load, place: Place, disturb: fn(&Relay)) {
    for _ in 0..CUTS {
        let orders = rig.random.random_range(1..15);
        load.wait_for_orders(orders).await;
        relays(rig, place).into_iter().for_each(disturb);
    }
}

async fn for_duration(rig: &Rig<'_>, place: Place, time: Duration, set: fn(&Relay, bool)) {
    for relay in relays(rig, place) {
        set(relay, true);
    }
    sleep(time).await;
    for relay in relays(rig, place) {
        set(relay, false);
    }
}

fn relays<'r>(rig: &'r Rig<'_>, place: Place) -> Vec<&'r Relay> {
    let relays = &rig.relays;
    match place {
        Place::Broker => relays.broker.iter().collect(),
        Place::Database => relays.database.iter().collect(),
        Place::Http => relays.queries.iter().chain(&relays.gateways).collect(),
    }
}
