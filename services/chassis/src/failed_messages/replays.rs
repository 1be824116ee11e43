//! The HTTP routes about replays, the same on every service that consumes.

use ::http::{Method, StatusCode};
use contracts::problem::InvalidMember;
use contracts::replay::{NewReplay, ReplayChange, ReplayOutcome};
use contracts::{Problem, ProblemType};
use sqlx::PgPool;
use uuid::Uuid;

use super::http::{at_least_one, only_open, reason_of};
use super::store::{self, Beginning, Change, Decision, MAX_MEMBERS, WAITING};
use crate::http::{self, Request, Response, Routes, route};

/// Most waves before the one with all that remain.
const MAX_CANARY: usize = 20;

/// Begin, look at, pause, resume and cancel replays.
pub(super) fn routes(pool: PgPool) -> Routes {
    Routes::new(
        pool,
        [
            route(Method::GET, "/failed-messages/replays", list),
            route(Method::POST, "/failed-messages/replays", begin),
            route(Method::POST, "/failed-messages/replays/preview", preview),
            route(Method::GET, "/failed-messages/replays/{id}", find),
            route(Method::GET, "/failed-messages/replays/{id}/members", members),
            route(Method::POST, "/failed-messages/replays/{id}/pause", pause),
            route(Method::POST, "/failed-messages/replays/{id}/resume", resume),
            route(Method::POST, "/failed-messages/replays/{id}/cancel", cancel),
        ],
    )
}

async fn list(pool: PgPool, request: Request) -> Result<Response, Problem> {
    Ok(http::json(StatusCode::OK, &store::list_replays(&pool, request.page()).await?))
}

async fn begin(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let new = read(&request).await?;
    match store::begin(&pool, &new, request.actor()).await? {
        Beginning::Begun(id) => answer(&pool, StatusCode::CREATED, id).await,
        Beginning::NoMessage => Err(Problem::new(
            ProblemType::StateConflict,
            "No message fits that waits for a decision and is in no other replay.",
        )),
        Beginning::TooMany(matching) => {
            let rule = format!(
                "means {matching} messages, and a replay has at most {MAX_MEMBERS}: by cause, queue or time there are fewer"
            );
            Err(Problem::invalid(vec![InvalidMember::new("filter", rule)]))
        }
    }
}

async fn preview(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let new = read(&request).await?;
    Ok(http::json(StatusCode::OK, &store::preview(&pool, &new.filter).await?))
}

/// The body that describes a replay.
async fn read(request: &Request) -> Result<NewReplay, Problem> {
    let new: NewReplay = request.json().await?;
    let reason = reason_of(&new.reason, "why they will be handled this time")?.to_owned();
    let canary = || {
        let rule = format!("must be at most {MAX_CANARY} numbers, each at least 1");
        let is_wrong = new.canary.len() > MAX_CANARY || new.canary.contains(&0);
        is_wrong.then(|| InvalidMember::new("canary", rule))
    };
    let wrong = [
        only_open(&new.filter),
        canary(),
        at_least_one("stopAfter", Some(new.stop_after)),
        at_least_one("ratePerSecond", new.rate_per_second),
    ];
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    if wrong.is_empty() { Ok(NewReplay { reason, ..new }) } else { Err(Problem::invalid(wrong)) }
}

async fn find(pool: PgPool, request: Request) -> Result<Response, Problem> {
    answer(&pool, StatusCode::OK, request.id("id")?).await
}

/// The replay as it stands.
async fn answer(pool: &PgPool, status: StatusCode, id: Uuid) -> Result<Response, Problem> {
    let replay = store::find_replay(pool, id).await?.ok_or_else(unknown)?;
    Ok(http::json(status, &replay))
}

async fn members(pool: PgPool, request: Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let outcome = read_outcome(&request).map_err(|wrong| Problem::invalid(vec![wrong]))?;
    let replay = store::find_replay(&pool, id).await?.ok_or_else(unknown)?;
    let members = store::members(&pool, &replay, outcome, request.page()).await?;
    Ok(http::json(StatusCode::OK, &members))
}

/// `outcome` of the query string.
fn read_outcome(request: &Request) -> Result<Option<&'static str>, InvalidMember> {
    let mut outcome = None;
    for (name, value) in request.query_pairs().filter(|(_, value)| !value.is_empty()) {
        match (&*name, value.parse::<ReplayOutcome>()) {
            ("outcome", Ok(wanted)) => outcome = Some(wanted.into()),
            ("outcome", Err(_)) if value == WAITING => outcome = Some(WAITING),
            ("outcome", Err(_)) => {
                let outcomes = "must be WAITING, HANDLED, FAILED_AGAIN, SKIPPED or ALREADY_HANDLED";
                return Err(InvalidMember::new("outcome", outcomes));
            }
            ("page" | "limit", _) => {}
            _ => {
                return Err(InvalidMember::new(
                    &*name,
                    "is not a known filter; known are: outcome, page, limit",
                ));
            }
        }
    }
    Ok(outcome)
}

async fn pause(pool: PgPool, request: Request) -> Result<Response, Problem> {
    change(pool, request, Change::Pause).await
}

async fn resume(pool: PgPool, request: Request) -> Result<Response, Problem> {
    change(pool, request, Change::Resume).await
}

async fn cancel(pool: PgPool, request: Request) -> Result<Response, Problem> {
    change(pool, request, Change::Cancel).await
}

async fn change(pool: PgPool, request: Request, change: Change) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let ReplayChange { reason } = request.json().await?;
    let reason = reason_of(&reason, "why")?;
    match store::change(&pool, id, change, request.actor(), reason).await? {
        Decision::Taken => answer(&pool, StatusCode::OK, id).await,
        Decision::Unknown => Err(unknown()),
        Decision::Refused(status) => {
            let allowed = match change {
                Change::Pause => "only a RUNNING one can be paused",
                Change::Resume => "only a PAUSED or STOPPED one can be resumed",
                Change::Cancel => "only a RUNNING, PAUSED or STOPPED one can be cancelled",
            };
            Err(Problem::new(ProblemType::StateConflict, format!("The replay is {status}; {allowed}.")))
        }
    }
}

fn unknown() -> Problem {
    Problem::not_found("There is no such replay.")
}
