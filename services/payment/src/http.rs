//! The payment service's HTTP routes. Only the gateway calls them.

use ::http::Method;
use chassis::failed_messages;
use chassis::health::Health;
use chassis::http::{self, RouteTable};
use sqlx::PgPool;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::store::{payment_totals, payments};

/// What [`routes`] answers.
pub(crate) const ROUTES: &[RouteTable] = &[
    http::HEALTH,
    failed_messages::ROUTES,
    RouteTable(&[
        (Method::GET, "/metrics"),
        (Method::GET, "/payments"),
        (Method::GET, "/payments/stats"),
        (Method::GET, "/payments/{id}"),
        (Method::GET, "/payments/order/{orderId}"),
    ]),
];

pub(crate) fn routes(pool: PgPool, health: Health) -> BoxedFilter<(Response,)> {
    let failed_messages = failed_messages::routes(pool.clone());
    let pool = warp::any().map(move || pool.clone());
    let list = warp::path!("payments")
        .and(http::page_request())
        .and(pool.clone())
        .then(async |request, pool: PgPool| http::found(payments::list(&pool, request).await.map(Some)));
    let stats = warp::path!("payments" / "stats")
        .and(pool.clone())
        .then(async |pool: PgPool| http::found(payment_totals::stats(&pool).await.map(Some)));
    let get = warp::path!("payments" / String).and(pool.clone()).then(async |id: String, pool: PgPool| {
        match http::id("id", &id) {
            Ok(id) => http::found(payments::find(&pool, id).await),
            Err(problem) => http::problem(problem),
        }
    });
    let of_order =
        warp::path!("payments" / "order" / String).and(pool).then(async |id: String, pool: PgPool| {
            match http::id("orderId", &id) {
                Ok(id) => http::found(payments::find_of_order(&pool, id).await),
                Err(problem) => http::problem(problem),
            }
        });
    let own = warp::get().and(list.or(stats).unify().or(get).unify().or(of_order).unify());
    let everywhere = http::health(health).or(http::metrics()).unify().or(failed_messages).unify();
    http::with_fallback(everywhere.or(own).unify().boxed())
}
