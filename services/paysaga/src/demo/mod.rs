//! Orders of every kind against a running stack, each followed until it settles.
//!
//! The demo knows how each kind ends ([`Kind`]), so it is also a quick check of a stack.

mod follower;
mod goal;
mod kind;
mod table;

use std::time::Duration;

use contracts::money::InvalidMoney;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use uuid::Uuid;

pub use follower::FollowedOrder;
pub use kind::Kind;
pub use table::render;

use crate::gateway::{Gateway, GatewayError};
use crate::progress::{Bar, Progress};
use follower::Follower;

/// The demo can't be run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The gateway is unavailable, or refuses the request.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A total is invalid.
    #[error("not a total: {0}")]
    Total(#[from] InvalidMoney),
}

/// Places one order of each kind, all at once, and follows them. `timeout` is how long an order may take to settle.
pub async fn run(
    gateway: &Gateway,
    timeout: Duration,
    progress: &Progress,
) -> Result<Vec<FollowedOrder>, DemoError> {
    // Asked first, so that a problem with the gateway is reported once, and not for every order.
    gateway.payment_stats().await?;
    let follower = Follower { gateway, customer: Uuid::new_v4().into(), timeout };
    let mut under_way = FuturesUnordered::new();
    for kind in Kind::ALL {
        under_way.push(follower.follow(kind, kind.total()?));
    }
    for kind in Kind::ALL {
        if let Some(reason) = kind.slow_because() {
            progress.message(&format!("{:<20} takes its time: {reason}", kind.name()));
        }
    }
    let bar = progress.bar("orders", Kind::ALL.len() as u64);
    let mut orders = Vec::new();
    show_waiting(&bar, &orders);
    while let Some(order) = under_way.next().await {
        progress.message(&line(&order));
        orders.push(order);
        bar.advance();
        show_waiting(&bar, &orders);
    }
    orders.sort_by_key(|order| Kind::ALL.iter().position(|kind| *kind == order.kind));
    Ok(orders)
}

fn show_waiting(bar: &Bar, done: &[FollowedOrder]) {
    let waiting: Vec<&str> = Kind::ALL
        .into_iter()
        .filter(|kind| done.iter().all(|order| order.kind != *kind))
        .map(Kind::name)
        .collect();
    bar.waits_for(&waiting.join(", "));
}

fn line(order: &FollowedOrder) -> String {
    let name = order.kind.name();
    match (&order.problem, order.settled) {
        (Some(problem), _) => format!("✗ {name:<20} {}; {problem}", table::states(order)),
        (None, Some(settled)) => {
            format!("✓ {name:<20} {} ({:.2} s)", table::states(order), settled.as_secs_f32())
        }
        (None, None) => format!("✓ {name:<20} {}", table::states(order)),
    }
}
