//! Orders of every kind against a running stack, each followed to its end.
//!
//! The demo knows how each kind ends ([`Kind`]), so it is also a quick check of a stack.

mod course;
mod goal;
mod kind;
mod table;

use std::time::Duration;

use contracts::money::InvalidMoney;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use uuid::Uuid;

pub use course::Course;
pub use kind::Kind;
pub use table::render;

use crate::gateway::{Gateway, GatewayError};
use crate::progress::{Bar, Progress};
use course::Follower;

/// The demo can't be given.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The gateway is not there, or does not let us in.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A total is none.
    #[error("not a total: {0}")]
    Total(#[from] InvalidMoney),
}

/// Places one order of each kind, all at once, and follows them. `patience` is how long an order may take to its end.
pub async fn run(
    gateway: &Gateway,
    patience: Duration,
    progress: &Progress,
) -> Result<Vec<Course>, DemoError> {
    // Asked first, so that what is wrong with the gateway is said once, and not for every order.
    gateway.payment_stats().await?;
    let follower = Follower { gateway, customer: Uuid::new_v4().into(), patience };
    let mut under_way = FuturesUnordered::new();
    for kind in Kind::ALL {
        under_way.push(follower.follow(kind, kind.total()?));
    }
    for kind in Kind::ALL {
        if let Some(reason) = kind.patience() {
            progress.message(&format!("{:<20} takes its time: {reason}", kind.name()));
        }
    }
    let bar = progress.bar("orders", Kind::ALL.len() as u64);
    let mut courses = Vec::new();
    note_waiting(&bar, &courses);
    while let Some(course) = under_way.next().await {
        progress.message(&line(&course));
        courses.push(course);
        bar.advance();
        note_waiting(&bar, &courses);
    }
    courses.sort_by_key(|course| Kind::ALL.iter().position(|kind| *kind == course.kind));
    Ok(courses)
}

fn note_waiting(bar: &Bar, done: &[Course]) {
    let waiting: Vec<&str> = Kind::ALL
        .into_iter()
        .filter(|kind| done.iter().all(|course| course.kind != *kind))
        .map(Kind::name)
        .collect();
    bar.note(&waiting.join(", "));
}

fn line(course: &Course) -> String {
    let name = course.kind.name();
    match (&course.problem, course.settled) {
        (Some(problem), _) => format!("✗ {name:<20} {}; {problem}", table::states(course)),
        (None, Some(settled)) => {
            format!("✓ {name:<20} {} ({:.2} s)", table::states(course), settled.as_secs_f32())
        }
        (None, None) => format!("✓ {name:<20} {}", table::states(course)),
    }
}
