//! The payment service's HTTP routes. Only the gateway calls them.

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::failed_messages;
use chassis::http::{self, Request, Response, Routes, route};
use contracts::Problem;
use contracts::page::ListRequest;
use sqlx::PgPool;

use crate::store::{payment_totals, payments};

pub(crate) fn routes(pool: PgPool) -> Routes {
    let failed_messages = failed_messages::routes(pool.clone());
    let own = Routes::new(
        Connections::of(pool),
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

async fn list(connections: Connections, request: Request) -> Result<Response, Problem> {
    match request.list()? {
        ListRequest::Page(page) => {
            Ok(http::page(&payments::page(&connections, page).await?, |payment| payment.id))
        }
        ListRequest::Behind(id, limit) => {
            let (slice, more) =
                payments::behind(&connections, id, limit).await?.ok_or_else(http::invalid_cursor)?;
            Ok(http::slice(&slice, more, |payment| payment.id))
        }
    }
}

async fn stats(connections: Connections, _: Request) -> Result<Response, Problem> {
    let stats = payment_totals::stats(&connections).await?;
    Ok(http::json(StatusCode::OK, &stats))
}

async fn find(connections: Connections, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    http::found(payments::find(&connections, id).await?)
}

async fn find_by_order(connections: Connections, request: Request) -> Result<Response, Problem> {
    let id = request.id("orderId")?;
    http::found(payments::find_of_order(&connections, id).await?)
}
