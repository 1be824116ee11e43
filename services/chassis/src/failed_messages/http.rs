//! The HTTP routes about failed messages, the same on every service that consumes.

use ::http::{Method, StatusCode};
use contracts::failed_message::{
    DiscardRequest, FailedMessageFilter, FailedMessageStatus, ReplayAccepted, ReplayRequest,
};
use contracts::problem::InvalidMember;
use contracts::{Problem, ProblemType};
use serde::Serialize;
use sqlx::PgPool;

use super::store::{self, Decision, Discard};
use crate::http::{self, Request, Response, Routes, route};

/// List, look at, replay and discard failed messages.
#[must_use]
pub fn routes(pool: PgPool) -> Routes {
    Routes::new(
        pool,
        [
            route(Method::GET, "/failed-messages", list),
            route(Method::POST, "/failed-messages/replay", replay_all),
            route(Method::GET, "/failed-messages/{id}", find),
            route(Method::DELETE, "/failed-messages/{id}", discard),
            route(Method::POST, "/failed-messages/{id}/replay", replay),
        ],
    )
}

async fn list(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let filter = read_filter(&request.query).map_err(Problem::invalid)?;
    let page = store::list(&pool, &filter, request.page()).await?;
    Ok(http::json(StatusCode::OK, &page))
}

async fn find(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    http::found(store::find(&pool, id).await?)
}

async fn replay(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let decision = store::replay(&pool, id, request.actor()).await?;
    answer(decision, &ReplayAccepted { matching: 1, scheduled: 1 })
}

async fn replay_all(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let ReplayRequest { filter, rate_per_second, dry_run } = request.json().await?;
    if filter.status.is_some_and(|status| status != FailedMessageStatus::Failed) {
        let rule = "must be FAILED or absent: only open messages are replayed together";
        return Err(invalid(InvalidMember::new("filter.status", rule)));
    }
    if rate_per_second == Some(0) {
        return Err(invalid(InvalidMember::new("ratePerSecond", "must be at least 1")));
    }
    let filter = FailedMessageFilter { status: Some(FailedMessageStatus::Failed), ..filter };
    let matching = store::count(&pool, &filter).await?;
    let scheduled = if dry_run {
        0
    } else {
        store::replay_matching(&pool, &filter, rate_per_second, request.actor()).await?
    };
    Ok(http::json(StatusCode::ACCEPTED, &ReplayAccepted { matching, scheduled }))
}

async fn discard(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let body: DiscardRequest = request.json().await?;
    let reason = body.reason.trim();
    if reason.is_empty() || reason.contains('\0') {
        return Err(invalid(InvalidMember::new("reason", "must say why the message is given up")));
    }
    let decision = store::discard(&pool, Discard { id, actor: request.actor(), reason }).await?;
    answer(decision, &body)
}

fn answer(decision: Decision, done: &impl Serialize) -> Result<Response, Problem> {
    match decision {
        Decision::Taken => Ok(http::json(StatusCode::ACCEPTED, done)),
        Decision::Unknown => Err(Problem::not_found("There is no such failed message.")),
        Decision::Refused(status) => Err(Problem::new(
            ProblemType::StateConflict,
            format!("The message is {status}; only a FAILED one can be discarded."),
        )),
    }
}

fn invalid(wrong: InvalidMember) -> Problem {
    Problem::invalid(vec![wrong])
}

/// The filter of a list: `queue`, `type`, `reason`, `status`, `from`, `to`.
fn read_filter(query: &str) -> Result<FailedMessageFilter, Vec<InvalidMember>> {
    let mut filter = FailedMessageFilter::default();
    let mut errors = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
    {
        let mut wrong = |rule: &str| errors.push(InvalidMember::new(&*name, rule));
        let time = "must be an RFC 3339 time such as 2026-01-02T03:04:05Z";
        match &*name {
            "queue" => filter.queue = Some(value.into_owned()),
            "type" => filter.event_type = Some(value.into_owned()),
            "reason" => filter.reason = Some(value.into_owned()),
            "status" => {
                let statuses = "must be FAILED, REPLAYING, REPLAYED or DISCARDED";
                filter.status = value.parse().map_err(|_| wrong(statuses)).ok();
            }
            "from" => filter.from = value.parse().map_err(|_| wrong(time)).ok(),
            "to" => filter.to = value.parse().map_err(|_| wrong(time)).ok(),
            "page" | "limit" => {}
            _ => {
                wrong("is not a known filter; known are: queue, type, reason, status, from, to, page, limit");
            }
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(errors) }
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
