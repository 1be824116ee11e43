//! The payment service's HTTP routes. Only the gateway calls them.

use ::http::{Method, StatusCode};
use chassis::failed_messages;
use chassis::http::{self, Request, Response, Routes, database_problem, route};
use contracts::Problem;
use sqlx::PgPool;

use crate::queries;

pub(crate) fn routes(pool: PgPool) -> Routes {
    let failed_messages = failed_messages::routes(pool.clone());
    let own = Routes::new(
        pool,
        [
            route(Method::GET, "/metrics", http::metrics),
            route(Method::GET, "/payments", list),
            route(Method::GET, "/payments/stats", stats),
            route(Method::GET, "/payments/{id}", find),
            route(Method::GET, "/payments/order/{orderId}", find_by_order),
        ],
    );
    own.merge(failed_messages)
}

async fn list(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let page = queries::payments(&pool, request.page()).await.map_err(database_problem)?;
    Ok(http::json(StatusCode::OK, &page))
}

async fn stats(pool: PgPool, _: Request) -> Result<Response, Problem> {
    let stats = queries::stats(&pool).await.map_err(database_problem)?;
    Ok(http::json(StatusCode::OK, &stats))
}

async fn find(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    http::found(queries::payment(&pool, id).await.map_err(database_problem)?)
}

async fn find_by_order(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let id = request.id("orderId")?;
    http::found(queries::payment_of_order(&pool, id).await.map_err(database_problem)?)
}
