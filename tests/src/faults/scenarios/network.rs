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

/// How long a network that is slow or away stays so.
const SLOW_FOR: Duration = Duration::from_secs(15);

/// How long a silent one does: longer than heartbeats and transactions have patience.
const SILENT_FOR: Duration = Duration::from_secs(35);

/// What a slow network adds, in each direction.
const DELAY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum Where {
    Broker,
    Database,
    Http,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Delays,
    Cuts,
    HalfCloses,
    IsSilent,
    Refuses,
}

const CUTS: u32 = 10;

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (place, in_front_of) in
        [(Where::Broker, "RabbitMQ"), (Where::Database, "PostgreSQL"), (Where::Http, "every HTTP service")]
    {
        for (what, name) in [
            (What::Delays, "delays by 100 ms"),
            (What::Cuts, "cuts, 10 times"),
            (What::HalfCloses, "half-closes, 10 times"),
            (What::IsSilent, "swallows everything for 35 s"),
            (What::Refuses, "refuses for 15 s"),
        ] {
            let name = format!("network to {in_front_of} {name}");
            let mut bad = scenario(name, move |rig| Box::pin(bad_network(rig, place, what)));
            bad.short = matches!((place, what), (Where::Broker, What::HalfCloses));
            scenarios.push(bad);
        }
    }
    scenarios
}

async fn bad_network(rig: &mut Rig<'_>, place: Where, what: What) -> Outcome {
    rig.start(&Plan { relays: true, ..Plan::default() }).await;
    let load = rig.load();
    load.more(30).await;
    match what {
        What::Delays => {
            for relay in relays(rig, place) {
                relay.delay(DELAY);
            }
            sleep(SLOW_FOR).await;
            for relay in relays(rig, place) {
                relay.delay(Duration::ZERO);
            }
        }
        What::Cuts => again_and_again(rig, &load, place, Relay::cut).await,
        What::HalfCloses => again_and_again(rig, &load, place, Relay::half_close).await,
        What::IsSilent => for_a_while(rig, place, SILENT_FOR, Relay::silence).await,
        What::Refuses => for_a_while(rig, place, SLOW_FOR, Relay::refuse).await,
    }
    rig.recovers(load).await
}

async fn again_and_again(rig: &mut Rig<'_>, load: &Load, place: Where, break_it: fn(&Relay)) {
    for _ in 0..CUTS {
        let orders = rig.random.random_range(1..15);
        load.more(orders).await;
        relays(rig, place).into_iter().for_each(break_it);
    }
}

async fn for_a_while(rig: &Rig<'_>, place: Where, time: Duration, set: fn(&Relay, bool)) {
    for relay in relays(rig, place) {
        set(relay, true);
    }
    sleep(time).await;
    for relay in relays(rig, place) {
        set(relay, false);
    }
}

fn relays<'r>(rig: &'r Rig<'_>, place: Where) -> Vec<&'r Relay> {
    let relays = &rig.relays;
    match place {
        Where::Broker => relays.broker.iter().collect(),
        Where::Database => relays.database.iter().collect(),
        Where::Http => relays.queries.iter().chain(&relays.gateways).collect(),
    }
}
