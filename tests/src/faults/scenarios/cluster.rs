//! Faults of a cluster of three brokers, all of which the services know.

use std::time::{Duration, Instant};

use futures_util::future::{LocalBoxFuture, try_join_all};
use local_stack::Error;
use local_stack::rabbitmq::Node;
use tokio::time::sleep;

use super::scenario;
use crate::faults::launch::Plan;
use crate::faults::load::Load;
use crate::faults::oracle::Outcome;
use crate::faults::rig::Rig;
use crate::faults::run::Scenario;

const NODES: usize = 3;

/// How long there is no majority.
const DOWN_FOR: Duration = Duration::from_secs(20);

pub(super) fn scenarios() -> Vec<Scenario> {
    [
        scenario("RabbitMQ cluster of 3: kill -9 of each node in turn", |rig| Box::pin(killed(rig))),
        scenario("RabbitMQ cluster of 3: clean restart of each node in turn", |rig| Box::pin(restarted(rig))),
        scenario("RabbitMQ cluster of 3: kill -9 of two nodes for 20 s", |rig| Box::pin(no_majority(rig))),
    ]
    .map(|scenario| Scenario { nodes: NODES, ..scenario })
    .to_vec()
}

async fn killed(rig: &mut Rig<'_>) -> Outcome {
    in_turn(rig, |node| Box::pin(node.kill())).await
}

async fn restarted(rig: &mut Rig<'_>) -> Outcome {
    in_turn(rig, |node| Box::pin(async { node.stop().await.map(drop) })).await
}

/// Stops each node, waits until orders are accepted without it, and starts it again. The first has every
/// connection and leads every queue, since all were declared through it.
async fn in_turn(
    rig: &mut Rig<'_>,
    stop: impl for<'n> Fn(&'n mut Node) -> LocalBoxFuture<'n, Result<(), Error>>,
) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    let mut pauses = Vec::new();
    for number in 0..NODES {
        load.wait_for_orders(50).await;
        stop(node(rig, number)).await.expect("it can be stopped");
        pauses.push(format!("{:.1}", until_accepted(&load).await.as_secs_f32()));
        load.wait_for_orders(50).await;
        node(rig, number).start().await.expect("it starts");
        node(rig, number).wait_for_cluster_of(NODES).await.expect("it finds the others");
    }
    let outcome = rig.judge_recovery(load).await;
    outcome.note(format!("without the node the next order was accepted after {} s", pauses.join(", ")))
}

/// Without a majority nothing is confirmed, and nothing may be accepted.
async fn no_majority(rig: &mut Rig<'_>) -> Outcome {
    rig.start(&Plan::default()).await;
    let load = rig.load();
    load.wait_for_orders(50).await;
    for number in 0..2 {
        node(rig, number).kill().await.expect("it can be killed");
    }
    let accepted = load.accepted();
    sleep(DOWN_FOR).await;
    let during = load.accepted() - accepted;
    let dead = rig.servers.rabbitmq().nodes_mut().take(2);
    try_join_all(dead.map(Node::start)).await.expect("they start");
    node(rig, 0).wait_for_cluster_of(NODES).await.expect("it finds the others");
    let outcome = rig.judge_recovery(load).await;
    outcome.note(format!("{during} orders were accepted without a majority"))
}

fn node<'r>(rig: &'r mut Rig<'_>, number: usize) -> &'r mut Node {
    rig.servers.rabbitmq().nodes_mut().nth(number).expect("there are three")
}

/// How long it takes until an order is accepted that was not under way already.
async fn until_accepted(load: &Load) -> Duration {
    let started = Instant::now();
    load.wait_for_orders(1).await;
    started.elapsed()
}
