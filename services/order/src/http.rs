//! The order service's HTTP routes. Only the gateway calls them.

use ::http::{Method, StatusCode};
use chassis::failed_messages;
use chassis::health::Health;
use chassis::http::{self, RouteTable};
use contracts::Problem;
use contracts::order::IdempotencyClaim;
use contracts::problem::InvalidMember;
use sqlx::PgPool;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::store::{idempotency_keys, orders, timeline};

/// What [`routes`] answers.
pub(crate) const ROUTES: &[RouteTable] = &[
    http::HEALTH,
    failed_messages::ROUTES,
    RouteTable(&[
        (Method::GET, "/metrics"),
        (Method::GET, "/orders"),
        (Method::GET, "/orders/{id}"),
        (Method::GET, "/orders/{id}/events"),
        (Method::PUT, "/idempotency-keys/{id}"),
    ]),
];

pub(crate) fn routes(pool: PgPool, health: Health) -> BoxedFilter<(Response,)> {
    let failed_messages = failed_messages::routes(pool.clone());
    let pool = warp::any().map(move || pool.clone());
    let list = warp::get()
        .and(warp::path!("orders"))
        .and(http::page_request())
        .and(pool.clone())
        .then(async |request, pool: PgPool| http::found(orders::list(&pool, request).await.map(Some)));
    let get = warp::get().and(warp::path!("orders" / String)).and(pool.clone()).then(
        async |id: String, pool: PgPool| match http::id("id", &id) {
            Ok(id) => http::found(orders::find(&pool, id).await),
            Err(problem) => http::problem(problem),
        },
    );
    let events = warp::get().and(warp::path!("orders" / String / "events")).and(pool.clone()).then(
        async |id: String, pool: PgPool| match http::id("id", &id) {
            Ok(id) => http::found(timeline::find(&pool, id).await),
            Err(problem) => http::problem(problem),
        },
    );
    let claim = warp::put()
        .and(warp::path!("idempotency-keys" / String))
        .and(warp::body::bytes())
        .and(pool)
        .then(async |id: String, body: bytes::Bytes, pool: PgPool| claim_key(&pool, &id, &body).await);
    let own = list.or(get).unify().or(events).unify().or(claim).unify();
    let everywhere = http::health(health).or(http::metrics()).unify().or(failed_messages).unify();
    http::with_fallback(everywhere.or(own).unify().boxed())
}

/// Answers 200 if the key stands for this request (now or already), 422 if it stands for another one.
async fn claim_key(pool: &PgPool, id: &str, body: &[u8]) -> Response {
    let id = match http::id("id", id) {
        Ok(id) => id,
        Err(problem) => return http::problem(problem),
    };
    let claim: IdempotencyClaim = match serde_json::from_slice(body) {
        Ok(claim) => claim,
        Err(error) => {
            return http::problem(Problem::invalid(vec![InvalidMember::new("", error.to_string())]));
        }
    };
    match idempotency_keys::claim(pool, id, &claim.fingerprint).await {
        Ok(fingerprint) if fingerprint == claim.fingerprint => http::json(StatusCode::OK, &claim),
        Ok(_) => http::problem(Problem::new(422, "The key was used with another request.")),
        Err(error) => http::database_problem(&error),
    }
}
