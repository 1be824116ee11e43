//! The gateway's HTTP routes, each with its description, and what stands before them.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use ::http::{HeaderValue, Method, header};
use chassis::http::{self, Response, Route, Routes, route};
use contracts::api_key::Scope;
use contracts::{Problem, ProblemType};
use tracing::error;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::reject::Rejection;
use warp::{Filter, Reply};

use crate::access::{self, NotAccepted};
use crate::console::Console;
use crate::cors::CorsConfig;
use crate::openapi::operations::{
    self, books as books_operations, investigation, operators, orders, payments, replays,
};
use crate::openapi::{Described, Group, Operation};
use crate::shares::{OverLimit, Place};
use crate::{Gateway, admin, books, commands, console, documents, overview, queries};

/// Every route, with what it does and the scope that it needs.
pub(crate) fn table() -> Vec<Group<Arc<Gateway>>> {
    let group = |scope, routes| Group { scope, routes };
    // The statistics before the payment of any id: the first route that fits takes a request.
    vec![
        group(
            Some(Scope::OrdersWrite),
            vec![
                served(route(Method::POST, "/api/orders", commands::create), orders::create()),
                served(route(Method::PATCH, "/api/orders/{id}", commands::change), orders::change()),
                served(route(Method::PATCH, "/api/orders/{id}/cancel", commands::cancel), orders::cancel()),
            ],
        ),
        group(
            Some(Scope::OrdersRead),
            vec![
                served(route(Method::GET, "/api/orders", queries::order_list), orders::list()),
                served(route(Method::GET, "/api/orders/{id}", queries::order_resource), orders::find()),
                served(
                    route(Method::GET, "/api/orders/{id}/events", queries::order_events),
                    orders::events(),
                ),
                served(route(Method::GET, "/api/events", queries::all_events), orders::all_events()),
            ],
        ),
        group(
            Some(Scope::Statistics),
            vec![served(
                route(Method::GET, "/api/payments/stats", queries::payment_resource),
                payments::statistics(),
            )],
        ),
        group(
            Some(Scope::PaymentsRead),
            vec![
                served(route(Method::GET, "/api/payments", queries::payment_list), payments::list()),
                served(route(Method::GET, "/api/payments/{id}", queries::payment_resource), payments::find()),
                served(
                    route(Method::GET, "/api/payments/order/{orderId}", queries::payment_resource),
                    payments::of_order(),
                ),
            ],
        ),
        group(Some(Scope::AdminRead), admin_read()),
        group(Some(Scope::AdminWrite), admin_write()),
        group(None, documents::routes()),
    ]
}

fn admin_read() -> Vec<Described<Arc<Gateway>>> {
    // The first route that fits takes a request: what is no message's id comes before what has one.
    vec![
        served(route(Method::GET, "/api/metrics", http::metrics), operators::metrics()),
        served(route(Method::GET, "/api/admin/overview", overview::answer), operations::overview::overview()),
        served(
            route(Method::GET, "/api/admin/{service}/failed-messages/causes", admin::failed_messages),
            replays::causes(),
        ),
        served(
            route(Method::GET, "/api/admin/{service}/failed-messages/replays", admin::failed_messages),
            replays::list(),
        ),
        served(
            route(
                Method::POST,
                "/api/admin/{service}/failed-messages/replays/preview",
                admin::failed_messages,
            ),
            replays::preview(),
        ),
        served(
            route(Method::GET, "/api/admin/{service}/failed-messages/replays/{id}", admin::failed_messages),
            replays::find(),
        ),
        served(
            route(
                Method::GET,
                "/api/admin/{service}/failed-messages/replays/{id}/members",
                admin::failed_messages,
            ),
            replays::members(),
        ),
        served(
            route(Method::GET, "/api/admin/{service}/failed-messages", admin::failed_messages),
            operators::failed_messages(),
        ),
        served(
            route(Method::GET, "/api/admin/{service}/failed-messages/{id}", admin::failed_messages),
            operators::failed_message(),
        ),
        served(route(Method::GET, "/api/admin/books", books::answer), books_operations::find()),
        served(route(Method::GET, "/api/admin/payment/refunds", admin::refunds), operators::refunds()),
        served(
            route(Method::GET, "/api/admin/payment/refunds/{paymentId}", admin::refunds),
            operators::refund(),
        ),
        served(route(Method::GET, "/api/admin/audit", admin::audit), investigation::audit()),
    ]
}

fn admin_write() -> Vec<Described<Arc<Gateway>>> {
    vec![
        served(
            route(Method::POST, "/api/admin/{service}/failed-messages/replay", admin::failed_messages),
            operators::replay_messages(),
        ),
        served(
            route(Method::DELETE, "/api/admin/{service}/failed-messages/{id}", admin::failed_messages),
            operators::discard_message(),
        ),
        served(
            route(Method::POST, "/api/admin/{service}/failed-messages/{id}/replay", admin::failed_messages),
            operators::replay_message(),
        ),
        served(
            route(Method::POST, "/api/admin/books/pass", books::begin_pass),
            books_operations::begin_pass(),
        ),
        served(
            route(Method::POST, "/api/admin/{service}/failed-messages/{id}/edit", admin::failed_messages),
            replays::edit(),
        ),
        served(
            route(Method::POST, "/api/admin/{service}/failed-messages/replays", admin::failed_messages),
            replays::begin(),
        ),
        served(
            route(
                Method::POST,
                "/api/admin/{service}/failed-messages/replays/{id}/pause",
                admin::failed_messages,
            ),
            replays::pause(),
        ),
        served(
            route(
                Method::POST,
                "/api/admin/{service}/failed-messages/replays/{id}/resume",
                admin::failed_messages,
            ),
            replays::resume(),
        ),
        served(
            route(
                Method::POST,
                "/api/admin/{service}/failed-messages/replays/{id}/cancel",
                admin::failed_messages,
            ),
            replays::cancel(),
        ),
        served(
            route(Method::POST, "/api/admin/payment/refunds/{paymentId}/retry", admin::refunds),
            operators::retry_refund(),
        ),
        served(
            route(Method::POST, "/api/admin/payment/refunds/{paymentId}/settle", admin::refunds),
            operators::settle_refund(),
        ),
        served(
            route(Method::POST, "/api/admin/payment/orders/{orderId}/ask-now", admin::ask_now),
            investigation::ask_now(),
        ),
    ]
}

/// A route and what it does: there is none without a description.
pub(crate) fn served<S>(route: Route<S>, operation: Operation) -> Described<S> {
    Described { route, operation }
}

/// The routes with their state, and what each requires of a key. The console's need none: they have sessions.
pub(crate) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let of_api = table().into_iter().fold(Routes::new((), []), |routes, Group { scope, routes: group }| {
        let group = Routes::new(Arc::clone(gateway), group.into_iter().map(|described| described.route));
        routes.merge(match scope {
            Some(scope) => group.require(access::require(scope, &gateway.audit)),
            None => group,
        })
    });
    of_api.merge(console::routes(gateway))
}

/// The templates of the routes that need no key.
fn open_routes(gateway: &Arc<Gateway>) -> Vec<&'static str> {
    let open = table().into_iter().filter(|group| group.scope.is_none());
    let open = open.flat_map(|group| group.routes).map(|described| described.route.template());
    open.chain(console::routes(gateway).templates()).collect()
}

/// Puts authentication and each caller's share around the routes, and CORS around all: a preflight request carries no key, and a web page may
/// read why its request was refused.
pub(crate) fn protect(
    gateway: &Arc<Gateway>,
    routes: BoxedFilter<(Response,)>,
    cors: Option<&CorsConfig>,
    speaks_https: bool,
) -> BoxedFilter<(Response,)> {
    let Gateway { audit, shares, .. } = &**gateway;
    let served = shares.enter().and(routes).map(Place::leave);
    let authenticated =
        access::require_caller(audit, open_routes(gateway)).and(served).recover(refuse).unify().boxed();
    let protected = match cors {
        Some(cors) => {
            let of_pages = authenticated.clone();
            let of_api = authenticated.with(cors.filter()).map(Reply::into_response).recover(refuse).unify();
            // The console's own pages send their origin too, and no other may use it: its forms see to that.
            is_for_console().and(of_pages).or(of_api).unify().boxed()
        }
        None => authenticated,
    };
    if speaks_https { protected.map(https_from_now_on).boxed() } else { protected }
}

/// Takes requests for the console alone.
fn is_for_console() -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync {
    warp::path::full()
        .and_then(|path: FullPath| {
            ready(if Console::has(path.as_str()) { Ok(()) } else { Err(warp::reject()) })
        })
        .untuple_one()
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
        Problem::new(
            ProblemType::OriginNotAllowed,
            "This origin, method or header is not allowed (CORS_ORIGINS).",
        )
    } else {
        error!(?rejection, "a request was rejected for an unexpected reason");
        Problem::new(ProblemType::InternalError, "The request could not be handled.")
    };
    Ok(http::problem(&problem))
}
