//! Everything that is broken: one module a kind of fault, and the list of all of them.

mod kills;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::oracle::Outcome;
use super::rig::Rig;
use super::run::Scenario;

/// Every scenario, in the order of the table.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [kills::scenarios()].concat()
}

/// A scenario with the programs as they are delivered.
fn scenario(
    name: impl Into<String>,
    run: impl for<'r> Fn(&'r mut Rig<'_>) -> LocalBoxFuture<'r, Outcome> + Send + Sync + 'static,
) -> Scenario {
    Scenario { name: name.into(), short: false, failpoints: false, run: Arc::new(run) }
}
