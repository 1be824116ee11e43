//! The HTTP routes about failed messages, the same on every service that consumes.

use ::http::{Method, StatusCode};
use contracts::failed_message::{
    DiscardRequest, FailedMessageFilter, FailedMessageStatus, ReplayAccepted, ReplayRequest,
};
use contracts::problem::InvalidMember;
use contracts::replay::EditRequest;
use contracts::{Problem, ProblemType};
use serde::Serialize;
use sqlx::PgPool;

use super::store::{self, Decision, Discard, Edit};
use super::{Causes, edit, replays};
use crate::broker::Publishers;
use crate::http::{self, Request, Response, Routes, route};

/// Longest reason of an operator, in characters.
const MAX_REASON: usize = 1000;

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Context {
    /// For queries.
    pub(crate) pool: PgPool,
    /// Whom messages must come from.
    pub(crate) publishers: Publishers,
    pub(crate) causes: Causes,
}

/// List, look at, edit, replay and discard failed messages.
pub(crate) fn routes(context: Context) -> Routes {
    let replays = replays::routes(context.pool.clone());
    let messages = Routes::new(
        context,
        [
            route(Method::GET, "/failed-messages", list),
            route(Method::GET, "/failed-messages/causes", causes),
            route(Method::POST, "/failed-messages/replay", replay_all),
            route(Method::GET, "/failed-messages/{id}", find),
            route(Method::DELETE, "/failed-messages/{id}", discard),
            route(Method::POST, "/failed-messages/{id}/edit", edit),
            route(Method::POST, "/failed-messages/{id}/replay", replay),
        ],
    );
    // The first route that fits takes a request: `replays` is no message's id.
    replays.merge(messages)
}

async fn list(Context { pool, .. }: Context, request: Request) -> Result<Response, Problem> {
    let filter = read_filter(&request.query).map_err(Problem::invalid)?;
    let page = store::list(&pool, &filter, request.page()).await?;
    Ok(http::json(StatusCode::OK, &page))
}

async fn causes(Context { causes, .. }: Context, _: Request) -> Result<Response, Problem> {
    Ok(http::json(StatusCode::OK, &causes.latest().await?))
}

async fn find(Context { pool, .. }: Context, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    http::found(store::find(&pool, id).await?)
}

async fn edit(context: Context, request: Request) -> Result<Response, Problem> {
    let Context { pool, publishers, .. } = context;
    let id = request.id("id")?;
    let EditRequest { body, reason } = request.json().await?;
    let reason = reason_of(&reason, "why the message is changed")?;
    let Some(original) = store::original(&pool, id).await? else { return Err(unknown()) };
    let subject = edit::check(&original, &body, &publishers)?;
    let edit = Edit { id, actor: request.actor(), reason, body: &body, subject };
    match store::edit(&pool, edit).await? {
        Decision::Taken => http::found(store::find(&pool, id).await?),
        Decision::Unknown => Err(unknown()),
        Decision::Refused(status) => Err(refused(&status, "edited")),
    }
}

async fn replay(Context { pool, .. }: Context, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let decision = store::replay(&pool, id, request.actor()).await?;
    answer(decision, &ReplayAccepted { matching: 1, scheduled: 1 })
}

async fn replay_all(Context { pool, .. }: Context, request: Request) -> Result<Response, Problem> {
    let ReplayRequest { filter, rate_per_second, dry_run } = request.json().await?;
    let wrong = only_open(&filter).into_iter().chain(at_least_one("ratePerSecond", rate_per_second));
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
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

async fn discard(Context { pool, .. }: Context, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let body: DiscardRequest = request.json().await?;
    let reason = reason_of(&body.reason, "why the message is given up")?;
    let decision = store::discard(&pool, Discard { id, actor: request.actor(), reason }).await?;
    answer(decision, &body)
}

fn answer(decision: Decision, done: &impl Serialize) -> Result<Response, Problem> {
    match decision {
        Decision::Taken => Ok(http::json(StatusCode::ACCEPTED, done)),
        Decision::Unknown => Err(unknown()),
        Decision::Refused(status) => Err(refused(&status, "discarded")),
    }
}

fn unknown() -> Problem {
    Problem::not_found("There is no such failed message.")
}

fn refused(status: &str, what: &str) -> Problem {
    let detail = format!("The message is {status}; only a FAILED one can be {what}.");
    Problem::new(ProblemType::StateConflict, detail)
}

/// Why an operator does something, as a text that can be stored.
pub(super) fn reason_of<'a>(given: &'a str, what: &str) -> Result<&'a str, Problem> {
    let given = given.trim();
    if given.is_empty() || given.contains('\0') || given.chars().count() > MAX_REASON {
        let rule = format!("must say {what}, in at most {MAX_REASON} characters");
        return Err(Problem::invalid(vec![InvalidMember::new("reason", rule)]));
    }
    Ok(given)
}

/// What is wrong with a filter by which messages are to be replayed together.
pub(super) fn only_open(filter: &FailedMessageFilter) -> Option<InvalidMember> {
    let rule = "must be FAILED or absent: only open messages are replayed together";
    let is_other = filter.status.is_some_and(|status| status != FailedMessageStatus::Failed);
    is_other.then(|| InvalidMember::new("filter.status", rule))
}

/// What is wrong with a number of which none is meant by its absence.
pub(super) fn at_least_one(member: &str, number: Option<u32>) -> Option<InvalidMember> {
    (number == Some(0)).then(|| InvalidMember::new(member, "must be at least 1"))
}

/// The filter of a list: `queue`, `type`, `reason`, `cause`, `status`, `from`, `to`.
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
            "cause" => filter.cause = Some(value.into_owned()),
            "status" => {
                let statuses = "must be FAILED, REPLAYING, REPLAYED or DISCARDED";
                filter.status = value.parse().map_err(|_| wrong(statuses)).ok();
            }
            "from" => filter.from = value.parse().map_err(|_| wrong(time)).ok(),
            "to" => filter.to = value.parse().map_err(|_| wrong(time)).ok(),
            "page" | "limit" => {}
            _ => {
                wrong(
                    "is not a known filter; known are: queue, type, reason, cause, status, from, to, page, limit",
                );
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
