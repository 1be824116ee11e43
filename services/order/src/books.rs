//! The running check of the books: what a gateway reads to compare, and the state that it keeps here.

use std::time::Duration;

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::http::{self, Request, Response, Routes, route};
use contracts::books::PassRequest;
use contracts::books::exchange::{
    LeaseRequest, MOST_ORDERS, OrderRows, RecordsAfter, StoreRequest, WantedOrders,
};
use contracts::feed::EventCursor;
use contracts::problem::InvalidMember;
use contracts::{Problem, ProblemType};
use serde_json::value::RawValue;

use crate::store::{books, feed};

/// Steps that one look at what changed is over.
const STEPS: u32 = 5_000;

/// Longest reason, in characters.
const MAX_REASON: usize = 1000;

#[derive(Clone)]
struct Context {
    connections: Connections,
    /// How long an order waits for its payment.
    saga_timeout: Duration,
}

pub(crate) fn routes(connections: Connections, saga_timeout: Duration) -> Routes {
    Routes::new(
        Context { connections, saga_timeout },
        [
            route(Method::GET, "/books", find),
            route(Method::PUT, "/books", store),
            route(Method::POST, "/books/lease", lease),
            route(Method::POST, "/books/pass", want_pass),
            route(Method::GET, "/books/changes", changes),
            route(Method::GET, "/books/orders", records_after),
            route(Method::POST, "/books/orders", records_of),
        ],
    )
}

async fn find(context: Context, _: Request) -> Result<Response, Problem> {
    let kept = books::kept(&context.connections).await?;
    Ok(http::json(StatusCode::OK, &kept))
}

async fn lease(context: Context, request: Request) -> Result<Response, Problem> {
    let LeaseRequest { holder } = request.json().await?;
    let kept = books::lease(&context.connections, holder).await?;
    Ok(http::json(StatusCode::OK, &kept))
}

async fn store(context: Context, request: Request) -> Result<Response, Problem> {
    let StoreRequest::<Box<RawValue>> { holder, state } = request.json().await?;
    let kept = books::store(&context.connections, holder, &state).await?;
    let lost = || Problem::new(ProblemType::StateConflict, "Another gateway has the lease.");
    Ok(http::json(StatusCode::OK, &kept.ok_or_else(lost)?))
}

async fn want_pass(context: Context, request: Request) -> Result<Response, Problem> {
    let PassRequest { reason } = request.json().await?;
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.contains('\0') || reason.chars().count() > MAX_REASON {
        let rule =
            format!("must say why everything is to be compared now, in at most {MAX_REASON} characters");
        return Err(Problem::invalid(vec![InvalidMember::new("reason", rule)]));
    }
    let is_new = books::want_pass(&context.connections).await?;
    if !is_new {
        return Err(Problem::new(ProblemType::StateConflict, "A full pass is under way, or wanted already."));
    }
    Ok(http::json(StatusCode::ACCEPTED, &PassRequest { reason }))
}

async fn changes(context: Context, request: Request) -> Result<Response, Problem> {
    let invalid = |error| Problem::invalid(vec![InvalidMember::new("after", format!("{error}"))]);
    let after = request.query_parameter("after").map(|text| text.parse::<EventCursor>()).transpose();
    let changed = feed::changed_orders(&context.connections, after.map_err(invalid)?, STEPS).await?;
    let ahead = || Problem::new(ProblemType::CursorAhead, "The database is at an earlier moment.");
    Ok(http::json(StatusCode::OK, &changed.ok_or_else(ahead)?))
}

async fn records_of(context: Context, request: Request) -> Result<Response, Problem> {
    let WantedOrders { orders } = request.json().await?;
    if orders.len() > usize::from(MOST_ORDERS) {
        let rule = format!("must be at most {MOST_ORDERS} orders");
        return Err(Problem::invalid(vec![InvalidMember::new("orders", rule)]));
    }
    let orders = books::records_of(&context.connections, &orders, context.saga_timeout).await?;
    Ok(http::json(StatusCode::OK, &OrderRows { orders }))
}

async fn records_after(context: Context, request: Request) -> Result<Response, Problem> {
    let wanted = RecordsAfter::from_query(|name| request.query_parameter(name));
    let orders = books::records_after(&context.connections, wanted, context.saga_timeout).await?;
    Ok(http::json(StatusCode::OK, &OrderRows { orders }))
}
