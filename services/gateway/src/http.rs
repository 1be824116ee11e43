//! The gateway's HTTP routes.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, header};
use bytes::Bytes;
use chassis::health::Health;
use chassis::http::{self, CorrelationId, RouteTable};
use contracts::Problem;
use contracts::page::PageRequest;
use warp::filters::BoxedFilter;
use warp::reject::Rejection;
use warp::reply::Response;
use warp::{Filter, Reply};

use crate::access::{Access, Unauthorized};
use crate::admin::{self, Admin};
use crate::commands::Commands;
use crate::cors::CorsConfig;
use crate::queries::Queries;

/// What [`routes`] answers.
pub(crate) const ROUTES: &[RouteTable] = &[
    http::HEALTH,
    RouteTable(&[
        (Method::GET, "/api/metrics"),
        (Method::POST, "/api/orders"),
        (Method::GET, "/api/orders"),
        (Method::GET, "/api/orders/{id}"),
        (Method::PATCH, "/api/orders/{id}"),
        (Method::PATCH, "/api/orders/{id}/cancel"),
        (Method::GET, "/api/orders/{id}/events"),
        (Method::GET, "/api/payments"),
        (Method::GET, "/api/payments/stats"),
        (Method::GET, "/api/payments/{id}"),
        (Method::GET, "/api/payments/order/{orderId}"),
        (Method::GET, "/api/admin/{service}/failed-messages"),
        (Method::POST, "/api/admin/{service}/failed-messages/replay"),
        (Method::GET, "/api/admin/{service}/failed-messages/{id}"),
        (Method::DELETE, "/api/admin/{service}/failed-messages/{id}"),
        (Method::POST, "/api/admin/{service}/failed-messages/{id}/replay"),
    ]),
];

pub(crate) fn routes(
    access: Access,
    admin: Admin,
    commands: Commands,
    queries: Queries,
    cors: Option<&CorsConfig>,
    health: Health,
) -> BoxedFilter<(Response,)> {
    let api = warp::path("api").and(
        http::metrics()
            .or(order_commands(access.clone(), commands))
            .unify()
            .or(order_queries(queries.clone()))
            .unify()
            .or(payment_queries(queries))
            .unify()
            .or(failed_messages(admin))
            .unify(),
    );
    let routes = http::with_fallback(http::health(health).or(api).unify().boxed());
    let admitted = access.admit().and(routes).recover(refuse).unify().boxed();
    match cors {
        Some(cors) => admitted.with(cors.filter()).map(Reply::into_response).recover(refuse).unify().boxed(),
        None => admitted,
    }
}

fn order_commands(access: Access, commands: Commands) -> BoxedFilter<(Response,)> {
    let commands = warp::any().map(move || commands.clone());
    let caller = warp::header::headers_cloned()
        // Admitted already; a key revoked since then is nobody's.
        .map(move |headers: HeaderMap| (access.caller(&headers).unwrap_or_default(), headers))
        .untuple_one();
    let create = warp::post()
        .and(warp::path!("orders"))
        .and(commands.clone())
        .and(caller)
        .and(warp::body::bytes())
        .and(correlation_id())
        .then(async |commands: Commands, caller: Arc<str>, headers, body: Bytes, correlation_id| {
            commands.create(caller, headers, body, correlation_id).await
        });
    let change = warp::patch()
        .and(warp::path!("orders" / String))
        .and(commands.clone())
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .and(correlation_id())
        .then(async |id, commands: Commands, headers, body: Bytes, correlation_id| {
            commands.change(id, headers, body, correlation_id).await
        });
    let cancel = warp::patch()
        .and(warp::path!("orders" / String / "cancel"))
        .and(commands)
        .and(correlation_id())
        .then(async |id, commands: Commands, correlation_id| commands.cancel(id, correlation_id).await);
    create.or(change).unify().or(cancel).unify().boxed()
}

fn order_queries(queries: Queries) -> BoxedFilter<(Response,)> {
    let queries = warp::any().map(move || queries.clone()).and(correlation_id());
    let list = warp::path!("orders").and(http::page_request()).and(queries.clone()).then(
        async |page: PageRequest, queries: Queries, correlation_id| {
            queries.orders(page, correlation_id).await
        },
    );
    let get = warp::path!("orders" / String)
        .and(queries.clone())
        .then(async |id, queries: Queries, correlation_id| queries.order(id, correlation_id).await);
    let timeline = warp::path!("orders" / String / "events")
        .and(queries)
        .then(async |id, queries: Queries, correlation_id| queries.timeline(id, correlation_id).await);
    warp::get().and(list.or(get).unify().or(timeline).unify()).boxed()
}

fn payment_queries(queries: Queries) -> BoxedFilter<(Response,)> {
    let queries = warp::any().map(move || queries.clone()).and(correlation_id());
    let list = warp::path!("payments").and(http::page_request()).and(queries.clone()).then(
        async |page: PageRequest, queries: Queries, correlation_id| {
            queries.payments(page, correlation_id).await
        },
    );
    let stats = warp::path!("payments" / "stats")
        .and(queries.clone())
        .then(async |queries: Queries, correlation_id| queries.stats(correlation_id).await);
    let get = warp::path!("payments" / String)
        .and(queries.clone())
        .then(async |id, queries: Queries, correlation_id| queries.payment(id, correlation_id).await);
    let of_order = warp::path!("payments" / "order" / String).and(queries).then(
        async |id, queries: Queries, correlation_id| queries.payment_of_order(id, correlation_id).await,
    );
    warp::get().and(list.or(stats).unify().or(get).unify().or(of_order).unify()).boxed()
}

fn failed_messages(admin: Admin) -> BoxedFilter<(Response,)> {
    let context = warp::method()
        .and(http::query_string())
        .and(warp::header::headers_cloned())
        .and(warp::body::bytes())
        .and(correlation_id());
    let to_request = |rest: &'static str| {
        move |service, id, method, query, headers, body, correlation_id| admin::Request {
            service,
            rest,
            id,
            query,
            body,
            method,
            headers,
            correlation_id,
        }
    };
    let no_id = warp::any().map(|| None);
    let all = warp::get()
        .and(warp::path!("admin" / String / "failed-messages"))
        .and(no_id)
        .and(context.clone())
        .map(to_request(""));
    let replay_all = warp::post()
        .and(warp::path!("admin" / String / "failed-messages" / "replay"))
        .and(no_id)
        .and(context.clone())
        .map(to_request("/replay"));
    let one = warp::get()
        .or(warp::delete())
        .unify()
        .and(warp::path!("admin" / String / "failed-messages" / String))
        .map(|service, id| (service, Some(id)))
        .untuple_one()
        .and(context.clone())
        .map(to_request(""));
    let replay = warp::post()
        .and(warp::path!("admin" / String / "failed-messages" / String / "replay"))
        .map(|service, id| (service, Some(id)))
        .untuple_one()
        .and(context)
        .map(to_request("/replay"));
    all.or(replay_all)
        .unify()
        .or(one)
        .unify()
        .or(replay)
        .unify()
        .and(warp::any().map(move || admin.clone()))
        .then(async |request, admin: Admin| admin.failed_messages(request).await)
        .boxed()
}

fn correlation_id() -> impl Filter<Extract = (CorrelationId,), Error = Rejection> + Copy + Send + Sync {
    warp::ext::get::<CorrelationId>()
}

/// Requests that no route was asked about.
async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    Ok(if rejection.find::<Unauthorized>().is_some() {
        let detail = "An API key is needed: Authorization: Bearer <key>.";
        let mut response = http::problem(Problem::new(401, detail));
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    } else if rejection.find::<warp::cors::CorsForbidden>().is_some() {
        http::problem(Problem::new(403, "This origin, method or header is not allowed (CORS_ORIGINS)."))
    } else {
        tracing::error!(?rejection, "a filter rejected that should not");
        http::problem(Problem::new(500, "The request could not be handled."))
    })
}
