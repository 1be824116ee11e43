//! Beginning and steering a replay.

use ::http::Method;
use chassis::http::Response;
use contracts::failed_message::FailedMessageFilter;
use contracts::problem::InvalidMember;
use contracts::replay::{NewReplay, Replay, ReplayChange};
use contracts::{Problem, ProblemType, Word};
use uuid::Uuid;

use crate::console::action::{Change, Form};
use crate::console::visit::Visit;

/// `POST /console/replays/{service}/new`
pub(in crate::console) async fn begin(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let (name, service) = visit.service()?;
            let (template, wanted) = ("/failed-messages/replays", read(&form)?);
            let change =
                Change { service, method: Method::POST, template, path: template.to_owned(), body: &wanted };
            let answer = visit.change(&wanted.reason, change).await?;
            let replay: Replay<Word> = serde_json::from_slice(&answer.body).map_err(|_| {
                Problem::new(
                    ProblemType::UnexpectedAnswer,
                    "The replay has begun, and can't be read. Look at the list.",
                )
            })?;
            Ok(format!("/console/replays/{name}/{}?done=begin", replay.id))
        })
        .await
}

/// What the form asks for, or everything that is wrong with it.
fn read(form: &Form) -> Result<NewReplay, Problem> {
    let mut wrong = Vec::new();
    let mut number = |name: &str, text: &str| match text.parse::<u32>() {
        Ok(number) if number > 0 => Some(number),
        _ => {
            wrong.push(InvalidMember::new(name, "must be a whole number, at least 1"));
            None
        }
    };
    let canary = form.text("canary").split([',', ' ']).filter(|part| !part.is_empty());
    let canary: Vec<u32> = canary.filter_map(|part| number("canary", part)).collect();
    let stop_after = form.given("stopAfter").and_then(|text| number("stopAfter", text));
    let rate_per_second = form.given("rate").and_then(|text| number("rate", text));
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let given = |name: &str| form.given(name).map(str::to_owned);
    Ok(NewReplay {
        filter: FailedMessageFilter {
            queue: given("queue"),
            event_type: given("type"),
            cause: given("cause"),
            reason: given("reasonHas"),
            ..FailedMessageFilter::default()
        },
        reason: form.reason()?.to_owned(),
        canary,
        stop_after: stop_after.unwrap_or(NewReplay::default_stop_after()),
        rate_per_second,
    })
}

/// `POST /console/replays/{service}/{id}/pause`
pub(in crate::console) async fn pause(visit: Visit) -> Response {
    let template = "/failed-messages/replays/{id}/pause";
    visit.act(async |form| steer(&visit, &form, template, "pause", "pause").await).await
}

/// `POST /console/replays/{service}/{id}/resume`
pub(in crate::console) async fn resume(visit: Visit) -> Response {
    let template = "/failed-messages/replays/{id}/resume";
    visit.act(async |form| steer(&visit, &form, template, "resume", "resume").await).await
}

/// `POST /console/replays/{service}/{id}/cancel`
pub(in crate::console) async fn cancel(visit: Visit) -> Response {
    let template = "/failed-messages/replays/{id}/cancel";
    visit.act(async |form| steer(&visit, &form, template, "cancel", "end").await).await
}

async fn steer(
    visit: &Visit,
    form: &Form,
    template: &'static str,
    change: &str,
    done: &str,
) -> Result<String, Problem> {
    let (name, service) = visit.service()?;
    let (id, reason): (Uuid, _) = (visit.request.id("id")?, form.reason()?);
    let path = format!("/failed-messages/replays/{id}/{change}");
    let body = &ReplayChange { reason: reason.to_owned() };
    visit.change(reason, Change { service, method: Method::POST, template, path, body }).await?;
    Ok(format!("/console/replays/{name}/{id}?done={done}"))
}
