//! Health and metrics, the same on every service.

use std::collections::BTreeMap;

use contracts::Problem;
use contracts::health::{Health as Report, HealthStatus};
use http::{Method, StatusCode};
use tracing::error;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::{RouteTable, reply};
use crate::health::Health;
use crate::telemetry;

/// What [`health`] answers.
pub const HEALTH: RouteTable = RouteTable(&[(Method::GET, "/health/live"), (Method::GET, "/health/ready")]);

/// `/health/live`: the process runs. `/health/ready`: it can do its work, or what keeps it from doing so.
#[must_use]
pub fn health(health: Health) -> BoxedFilter<(Response,)> {
    let live = warp::path!("health" / "live")
        .map(|| reply::json(StatusCode::OK, &Report { status: HealthStatus::Up, checks: BTreeMap::new() }));
    let ready = warp::path!("health" / "ready").map(move || {
        let report = health.report();
        let status = match report.status {
            HealthStatus::Up => StatusCode::OK,
            HealthStatus::Down => StatusCode::SERVICE_UNAVAILABLE,
        };
        reply::json(status, &report)
    });
    warp::get().and(live.or(ready).unify()).boxed()
}

/// `/metrics`, in Prometheus' text format.
#[must_use]
pub fn metrics() -> BoxedFilter<(Response,)> {
    warp::get().and(warp::path!("metrics")).map(collect_metrics).boxed()
}

fn collect_metrics() -> Response {
    match telemetry::prometheus_text() {
        Ok(text) => reply::text("text/plain; version=0.0.4", text),
        Err(error) => {
            error!(%error, "metrics could not be collected");
            reply::problem(Problem::new(500, "Metrics could not be collected."))
        }
    }
}
