//! The HTTP routes about failed messages, the same on every service that consumes.

use std::str::FromStr;

use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use contracts::Problem;
use contracts::failed_message::{
    DiscardRequest, FailedMessageFilter, FailedMessageStatus, ReplayAccepted, ReplayRequest,
};
use contracts::page::PageRequest;
use contracts::problem::InvalidMember;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use uuid::Uuid;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::store::{self, Decision, Discard};
use crate::http::{self, RouteTable};

/// What [`routes`] answers.
pub const ROUTES: RouteTable = RouteTable(&[
    (Method::GET, "/failed-messages"),
    (Method::POST, "/failed-messages/replay"),
    (Method::GET, "/failed-messages/{id}"),
    (Method::DELETE, "/failed-messages/{id}"),
    (Method::POST, "/failed-messages/{id}/replay"),
]);

/// Who asks, as the gateway found out. Only the gateway reaches a service's port.
const ACTOR: &str = "x-actor";

/// List, look at, replay and discard failed messages.
#[must_use]
pub fn routes(pool: PgPool) -> BoxedFilter<(Response,)> {
    let pool = warp::any().map(move || pool.clone());
    let actor = warp::header::headers_cloned().map(|headers: HeaderMap| {
        headers.get(ACTOR).and_then(|actor| actor.to_str().ok()).unwrap_or("unknown").to_owned()
    });
    let list = warp::get()
        .and(warp::path!("failed-messages"))
        .and(http::query_string())
        .and(http::page_request())
        .and(pool.clone())
        .then(async |query: String, page, pool: PgPool| list(&pool, &query, page).await);
    let find = warp::get().and(warp::path!("failed-messages" / String)).and(pool.clone()).then(
        async |id: String, pool: PgPool| match http::id("id", &id) {
            Ok(id) => http::found(store::find(&pool, id).await),
            Err(problem) => http::problem(problem),
        },
    );
    let replay_all = warp::post()
        .and(warp::path!("failed-messages" / "replay"))
        .and(warp::body::bytes())
        .and(actor)
        .and(pool.clone())
        .then(async |body: Bytes, actor: String, pool: PgPool| replay_all(&pool, &body, &actor).await);
    let replay = warp::post()
        .and(warp::path!("failed-messages" / String / "replay"))
        .and(actor)
        .and(pool.clone())
        .then(async |id: String, actor: String, pool: PgPool| replay(&pool, &id, &actor).await);
    let discard = warp::delete()
        .and(warp::path!("failed-messages" / String))
        .and(warp::body::bytes())
        .and(actor)
        .and(pool)
        .then(async |id: String, body: Bytes, actor: String, pool: PgPool| {
            discard(&pool, &id, &body, &actor).await
        });
    list.or(find).unify().or(replay_all).unify().or(replay).unify().or(discard).unify().boxed()
}

async fn list(pool: &PgPool, query: &str, page: PageRequest) -> Response {
    match read_filter(query) {
        Ok(filter) => http::found(store::list(pool, &filter, page).await.map(Some)),
        Err(errors) => http::problem(Problem::invalid(errors)),
    }
}

async fn replay(pool: &PgPool, id: &str, actor: &str) -> Response {
    let id: Uuid = match http::id("id", id) {
        Ok(id) => id,
        Err(problem) => return http::problem(problem),
    };
    match store::replay(pool, id, actor).await {
        Ok(outcome) => answer(outcome, &ReplayAccepted { matching: 1, scheduled: 1 }),
        Err(error) => http::database_problem(&error),
    }
}

async fn replay_all(pool: &PgPool, body: &[u8], actor: &str) -> Response {
    let request: ReplayRequest = match read_body(body) {
        Ok(request) => request,
        Err(problem) => return http::problem(problem),
    };
    let invalid = |member: &str, detail: &str| {
        http::problem(Problem::invalid(vec![InvalidMember::new(member, detail)]))
    };
    if request.filter.status.is_some_and(|status| status != FailedMessageStatus::Failed) {
        return invalid(
            "filter.status",
            "must be FAILED or absent: only open messages are replayed together",
        );
    }
    if request.rate_per_second == Some(0) {
        return invalid("ratePerSecond", "must be at least 1");
    }
    let filter = FailedMessageFilter { status: Some(FailedMessageStatus::Failed), ..request.filter };
    let done = async {
        let matching = store::count(pool, &filter).await?;
        let scheduled = if request.dry_run {
            0
        } else {
            store::replay_matching(pool, &filter, request.rate_per_second, actor).await?
        };
        Ok(ReplayAccepted { matching, scheduled })
    };
    match done.await {
        Ok(accepted) => http::json(StatusCode::ACCEPTED, &accepted),
        Err(error) => http::database_problem(&error),
    }
}

async fn discard(pool: &PgPool, id: &str, body: &[u8], actor: &str) -> Response {
    let id: Uuid = match http::id("id", id) {
        Ok(id) => id,
        Err(problem) => return http::problem(problem),
    };
    let request: DiscardRequest = match read_body(body) {
        Ok(request) => request,
        Err(problem) => return http::problem(problem),
    };
    if request.reason.trim().is_empty() || request.reason.contains('\0') {
        let wrong = InvalidMember::new("reason", "must say why the message is given up");
        return http::problem(Problem::invalid(vec![wrong]));
    }
    match store::discard(pool, Discard { id, actor, reason: request.reason.trim() }).await {
        Ok(outcome) => answer(outcome, &request),
        Err(error) => http::database_problem(&error),
    }
}

fn answer(outcome: Decision, done: &impl serde::Serialize) -> Response {
    match outcome {
        Decision::Taken => http::json(StatusCode::ACCEPTED, done),
        Decision::Unknown => http::problem(Problem::not_found("There is no such failed message.")),
        Decision::Refused(status) => http::problem(Problem::new(
            409,
            format!("The message is {status}; only a FAILED one can be discarded."),
        )),
    }
}

fn read_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::invalid(vec![InvalidMember::new("", format!("the body is not valid: {error}"))])
    })
}

/// The filter of a list: `queue`, `type`, `reason`, `status`, `from`, `to`.
fn read_filter(query: &str) -> Result<FailedMessageFilter, Vec<InvalidMember>> {
    let mut filter = FailedMessageFilter::default();
    let mut errors = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
    {
        let time = "must be an RFC 3339 time such as 2026-01-02T03:04:05Z";
        match &*name {
            "queue" => filter.queue = Some(value.into_owned()),
            "type" => filter.event_type = Some(value.into_owned()),
            "reason" => filter.reason = Some(value.into_owned()),
            "status" => {
                filter.status =
                    read(&value, "status", "must be FAILED, REPLAYING, REPLAYED or DISCARDED", &mut errors);
            }
            "from" => filter.from = read(&value, "from", time, &mut errors),
            "to" => filter.to = read(&value, "to", time, &mut errors),
            "page" | "limit" => {}
            unknown => errors.push(InvalidMember::new(
                unknown,
                "is not a known filter; known are: queue, type, reason, status, from, to, page, limit",
            )),
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(errors) }
}

fn read<T: FromStr>(text: &str, name: &str, rule: &str, errors: &mut Vec<InvalidMember>) -> Option<T> {
    let value = text.parse().ok();
    if value.is_none() {
        errors.push(InvalidMember::new(name, rule));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_everything_that_is_wrong_with_it() {
        let filter =
            read_filter("queue=order.create.queue&type=X&status=FAILED&from=2026-01-02T03:04:05Z&page=2");
        let filter = filter.unwrap();
        assert_eq!(filter.queue.as_deref(), Some("order.create.queue"));
        assert_eq!(filter.status, Some(FailedMessageStatus::Failed));
        let errors = read_filter("status=LOST&from=yesterday&colour=red").unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.member.as_str()).collect();
        assert_eq!(names, ["status", "from", "colour"]);
    }
}
