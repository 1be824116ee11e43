//! The gateway's HTTP routes, and what stands before them.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::{HeaderValue, Method, header};
use chassis::http::{self, Response, Route, Routes, route};
use contracts::Problem;
use contracts::api_key::Scope;
use tracing::error;
use warp::filters::BoxedFilter;
use warp::reject::Rejection;
use warp::{Filter, Reply};

use crate::access::{self, NotAccepted};
use crate::audit::Audit;
use crate::cors::CorsConfig;
use crate::shares::{OverLimit, Place, Shares};
use crate::{Gateway, admin, commands, queries};

pub(crate) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let routes = |scope, routes: Vec<Route<Arc<Gateway>>>| {
        Routes::new(Arc::clone(gateway), routes).require(access::require(scope, &gateway.audit))
    };
    let orders_write = routes(
        Scope::OrdersWrite,
        vec![
            route(Method::POST, "/api/orders", commands::create),
            route(Method::PATCH, "/api/orders/{id}", commands::change),
            route(Method::PATCH, "/api/orders/{id}/cancel", commands::cancel),
        ],
    );
    let orders_read = routes(
        Scope::OrdersRead,
        vec![
            route(Method::GET, "/api/orders", queries::order_list),
            route(Method::GET, "/api/orders/{id}", queries::order_resource),
            route(Method::GET, "/api/orders/{id}/events", queries::order_events),
            route(Method::GET, "/api/events", queries::all_events),
        ],
    );
    let statistics =
        routes(Scope::Statistics, vec![route(Method::GET, "/api/payments/stats", queries::payment_resource)]);
    let payments_read = routes(
        Scope::PaymentsRead,
        vec![
            route(Method::GET, "/api/payments", queries::payment_list),
            route(Method::GET, "/api/payments/{id}", queries::payment_resource),
            route(Method::GET, "/api/payments/order/{orderId}", queries::payment_resource),
        ],
    );
    let admin_read = routes(
        Scope::AdminRead,
        vec![
            route(Method::GET, "/api/metrics", http::metrics),
            route(Method::GET, "/api/admin/{service}/failed-messages", admin::failed_messages),
            route(Method::GET, "/api/admin/{service}/failed-messages/{id}", admin::failed_messages),
            route(Method::GET, "/api/admin/payment/refunds", admin::refunds),
            route(Method::GET, "/api/admin/payment/refunds/{paymentId}", admin::refunds),
        ],
    );
    let admin_write = routes(
        Scope::AdminWrite,
        vec![
            route(Method::POST, "/api/admin/{service}/failed-messages/replay", admin::failed_messages),
            route(Method::DELETE, "/api/admin/{service}/failed-messages/{id}", admin::failed_messages),
            route(Method::POST, "/api/admin/{service}/failed-messages/{id}/replay", admin::failed_messages),
            route(Method::POST, "/api/admin/payment/refunds/{paymentId}/retry", admin::refunds),
            route(Method::POST, "/api/admin/payment/refunds/{paymentId}/settle", admin::refunds),
        ],
    );
    // The statistics before the payment of any id: the first route that fits takes a request.
    orders_write
        .merge(orders_read)
        .merge(statistics)
        .merge(payments_read)
        .merge(admin_read)
        .merge(admin_write)
}

/// Puts authentication and each caller's share around the routes, and CORS around all: a preflight request carries no key, and a web page may
/// read why its request was refused.
pub(crate) fn protect(
    routes: BoxedFilter<(Response,)>,
    audit: &Arc<Audit>,
    shares: &Arc<Shares>,
    cors: Option<&CorsConfig>,
    speaks_https: bool,
) -> BoxedFilter<(Response,)> {
    let served = shares.enter().and(routes).map(Place::leave);
    let authenticated = access::require_caller(audit).and(served).recover(refuse).unify().boxed();
    let protected = match cors {
        Some(cors) => {
            authenticated.with(cors.filter()).map(Reply::into_response).recover(refuse).unify().boxed()
        }
        None => authenticated,
    };
    if speaks_https { protected.map(https_from_now_on).boxed() } else { protected }
}

/// A browser that was here once does not come without TLS again (RFC 6797).
fn https_from_now_on(mut response: Response) -> Response {
    let year = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    response
}

/// Answers requests that did not get as far as the routes.
async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    if let Some(over_limit) = rejection.find::<OverLimit>() {
        return Ok(over_limit.response());
    }
    let problem = if let Some(NotAccepted(problem)) = rejection.find() {
        problem.clone()
    } else if rejection.find::<warp::cors::CorsForbidden>().is_some() {
        Problem::new(403, "This origin, method or header is not allowed (CORS_ORIGINS).")
    } else {
        error!(?rejection, "a request was rejected for an unexpected reason");
        Problem::new(500, "The request could not be handled.")
    };
    Ok(http::problem(&problem))
}
