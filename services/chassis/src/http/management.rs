//! Health and metrics, for probes and scrapers: the same on every service, on a listener that clients don't reach.

use std::collections::BTreeMap;

use contracts::health::{Health as Report, HealthStatus};
use contracts::{Problem, ProblemType};
use http::{Method, StatusCode};
use tracing::error;
use warp::reply::Response;

use super::{Request, Routes, reply, route};
use crate::health::Health;
use crate::telemetry;

/// `/health/live`, `/health/ready` and `/metrics`.
pub(super) fn routes(health: Health) -> Routes {
    Routes::new(
        health,
        [
            route(Method::GET, "/health/live", live),
            route(Method::GET, "/health/ready", ready),
            route(Method::GET, "/metrics", metrics),
        ],
    )
}

/// The process runs.
async fn live(_: Health, _: Request) -> Result<Response, Problem> {
    Ok(reply::json(StatusCode::OK, &Report { status: HealthStatus::Up, checks: BTreeMap::new() }))
}

/// The service can do its work, or what keeps it from doing so.
async fn ready(health: Health, _: Request) -> Result<Response, Problem> {
    let report = health.report();
    let status = match report.status {
        HealthStatus::Up => StatusCode::OK,
        HealthStatus::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(reply::json(status, &report))
}

/// Answers with the metrics in Prometheus' text format.
pub async fn metrics<S>(_: S, _: Request) -> Result<Response, Problem> {
    match telemetry::prometheus_text() {
        Ok(text) => Ok(reply::text("text/plain; version=0.0.4", text)),
        Err(error) => {
            error!(%error, "metrics could not be collected");
            Err(Problem::new(ProblemType::InternalError, "Metrics could not be collected."))
        }
    }
}
