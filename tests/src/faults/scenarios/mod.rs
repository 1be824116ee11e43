//! The scenarios: one module a kind of fault, and the list of all of them.

mod absence;
mod backlog;
mod backup;
mod cluster;
mod crash_points;
mod hostile_clients;
mod kills;
mod messages;
mod network;
mod newer_version;
mod one_queue;
mod overload;
mod poison;
mod postgres;
mod rabbitmq;
mod reads;
mod refunds;
mod replicas;
mod shutdown;
mod streams;
mod vanished_host;
mod waiting_clients;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt, stream};

use super::load::Placed;
use super::oracle::Outcome;
use super::rig::Rig;
use super::run::Scenario;
use crate::api::Api;

/// Every scenario, in the order of the table.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        crash_points::scenarios(),
        kills::scenarios(),
        rabbitmq::scenarios(),
        one_queue::scenarios(),
        postgres::scenarios(),
        network::scenarios(),
        vanished_host::scenarios(),
        messages::scenarios(),
        poison::scenarios(),
        refunds::scenarios(),
        newer_version::scenarios(),
        replicas::scenarios(),
        shutdown::scenarios(),
        backlog::scenarios(),
        backup::scenarios(),
        hostile_clients::scenarios(),
        reads::scenarios(),
        waiting_clients::scenarios(),
        streams::scenarios(),
        overload::scenarios(),
        absence::scenarios(),
        cluster::scenarios(),
    ]
    .concat()
}

/// A short version of a scenario, which is not part of the whole suite.
fn only_short(mut scenario: Scenario) -> Scenario {
    (scenario.long, scenario.short) = (false, true);
    scenario
}

/// A scenario that belongs to the short form too.
fn also_short(mut scenario: Scenario) -> Scenario {
    scenario.short = true;
    scenario
}

/// A scenario with the programs as they are delivered.
fn scenario(
    name: impl Into<String>,
    run: impl for<'r> Fn(&'r mut Rig<'_>) -> LocalBoxFuture<'r, Outcome> + Send + Sync + 'static,
) -> Scenario {
    let run = Arc::new(run);
    Scenario { name: name.into(), long: true, short: false, failpoints: false, nodes: 1, run }
}

/// Places orders as fast as possible.
async fn place(api: &Api, count: u32) -> Vec<Placed> {
    const AT_ONCE: usize = 32;
    stream::iter(0..count)
        .map(|_| api.place("10.01"))
        .buffer_unordered(AT_ONCE)
        .map(Placed::new)
        .collect()
        .await
}
