//! One replay, while it goes on and afterwards.

use std::time::Duration;

use chassis::http::Response;
use contracts::page::Page;
use contracts::replay::{Replay, ReplayMember, ReplayOutcomes, ReplayStatus};
use contracts::{Problem, Word};
use futures_util::FutureExt;
use maud::{Markup, html};
use uuid::Uuid;

use crate::bulkhead::Kind;
use crate::console::format::{amount, count, maybe_time, status, time};
use crate::console::layout::{self, Section};
use crate::console::live::Live;
use crate::console::visit::Visit;

/// How often it is shown anew.
const EVERY: Duration = Duration::from_secs(1);

/// `GET /console/replays/{service}/{id}`
pub(in crate::console) async fn page(visit: Visit) -> Response {
    let content = write(&visit).await;
    visit.answer(Section::Replays, "Replay", content)
}

async fn write(visit: &Visit) -> Result<Markup, Problem> {
    let (name, replay) = read(visit).await?;
    let id = replay.id;
    // One that has ended changes no more.
    let live = replay
        .finished_at
        .is_none()
        .then(|| format!("/console/replays/{name}/{id}/live?page={}", visit.request.page().page()));
    Ok(html! {
        h1 { "Replay " span.id { (id) } }
        (layout::done(&visit.request))
        div hx-sse:connect=[live] hx-swap="innerMorph" { (show(visit, name, &replay).await) }
        (actions(visit, name, &replay))
    })
}

/// `GET /console/replays/{service}/{id}/live`
pub(in crate::console) async fn live(visit: Visit) -> Response {
    let live = Live { visit, every: EVERY, listening: None };
    live.response(|visit| {
        let part = async move {
            let (name, replay) = read(visit).await?;
            Ok(show(visit, name, &replay).await)
        };
        part.boxed()
    })
    .await
}

async fn read(visit: &Visit) -> Result<(&'static str, Replay<Word>), Problem> {
    let (name, service) = visit.service()?;
    let id: Uuid = visit.request.id("id")?;
    let template = "/failed-messages/replays/{id}";
    let replay = visit.find(service, template, format!("/failed-messages/replays/{id}")).await?;
    Ok((name, replay))
}

/// The replay and those of its messages that failed again; then all of them, a page at a time.
async fn show(visit: &Visit, name: &str, replay: &Replay<Word>) -> Markup {
    let page = visit.request.page().page();
    let failed = members(visit, replay.id, "outcome=FAILED_AGAIN&limit=20".to_owned()).await;
    let all = members(visit, replay.id, format!("limit=50&page={page}")).await;
    let more = all.as_ref().is_ok_and(|all| all.meta.total_pages > u64::from(page));
    html! {
        (summary(name, replay))
        (listed("Failed again", name, failed))
        (listed("Its messages", name, all))
        @if more { p { a href={ "/console/replays/" (name) "/" (replay.id) "?page=" (page + 1) } { "More" } } }
    }
}

type Members = Page<ReplayMember<Word>>;

async fn members(visit: &Visit, id: Uuid, query: String) -> Result<Members, Problem> {
    let (_, service) = visit.service()?;
    let template = "/failed-messages/replays/{id}/members";
    let path = format!("/failed-messages/replays/{id}/members?{query}");
    let found = visit.read(service, template, path, Kind::Page).await?;
    found.ok_or_else(|| Problem::not_found("There is no such replay."))
}

fn summary(name: &str, replay: &Replay<Word>) -> Markup {
    let ReplayOutcomes { members, waiting, handled, failed_again, skipped, already_handled } =
        replay.outcomes;
    let filter = &replay.filter;
    html! {
        p { (status(&replay.status)) " " (in_words(&replay.status)) }
        (progress(&replay.outcomes))
        dl.facts {
            dt { "Messages" }
            dd {
                (count(members)) " of the " (name) " service: " (count(handled)) " handled, "
                (count(failed_again)) " failed again, " (count(already_handled)) " already handled, "
                (count(skipped)) " skipped, " (count(waiting)) " waiting"
            }
            dt { "Wave" } dd { (replay.wave) " of " (replay.waves) @if !replay.canary.is_empty() { ", the first of " (joined(&replay.canary)) " messages" } }
            dt { "Stops after" } dd { (replay.stop_after) " that fail again" }
            dt { "Rate" } dd { @if let Some(rate) = replay.rate_per_second { (rate) " a second at most" } @else { "as fast as it goes" } }
            dt { "Begun" } dd { (time(replay.created_at)) " by " (replay.actor) ": " (replay.reason) }
            dt { "Last outcome" } dd { (time(replay.updated_at)) }
            dt { "Ended" } dd { (maybe_time(replay.finished_at)) }
            dt { "Chosen by" }
            dd {
                @for (what, value) in [("cause", &filter.cause), ("queue", &filter.queue), ("event", &filter.event_type), ("reason has", &filter.reason)] {
                    @if let Some(value) = value { (what) " " code { (value) } " " }
                }
            }
        }
        h2 { "What was decided" }
        ul {
            @for decision in &replay.decisions {
                li { (time(decision.at)) " " (status(&decision.action)) " by " (decision.actor) ": " (decision.reason) }
            }
        }
    }
}

fn in_words(status: &str) -> &'static str {
    match status.parse() {
        Ok(ReplayStatus::Running) => "Its messages are handled, one after the other.",
        Ok(ReplayStatus::Paused) => "An operator holds it.",
        Ok(ReplayStatus::Stopped) => "It stopped by itself, since messages failed again.",
        Ok(ReplayStatus::Cancelled) => "An operator ended it before its last message.",
        Ok(ReplayStatus::Completed) => "Every message was handled.",
        Ok(ReplayStatus::CompletedWithFailures) => "It came to its end, and some messages failed again.",
        Err(_) => "",
    }
}

/// How far a replay is.
pub(super) fn progress(outcomes: &ReplayOutcomes) -> Markup {
    let done = outcomes.members - outcomes.waiting;
    html! {
        progress max=(outcomes.members.max(1)) value=(done) aria-label={ (done) " of " (outcomes.members) " messages have an outcome" } {}
        @if outcomes.failed_again > 0 { p.bad { (count(outcomes.failed_again)) " failed again" } }
    }
}

fn joined(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn listed(heading: &str, service: &str, found: Result<Members, Problem>) -> Markup {
    html! {
        @match found {
            Err(problem) => (layout::problem(&problem)),
            Ok(members) => @if !members.data.is_empty() {
                h2 { (heading) " " span.dim { (count(members.meta.total)) } }
                div.scroll tabindex="0" { table {
                    thead { tr { th.number { "Place" } th.number { "Wave" } th { "Message" } th { "Order" } th.number { "Amount" } th { "Outcome" } th { "When" } th { "Why" } } }
                    tbody {
                        @for member in &members.data {
                            tr {
                                td.number { (member.position) }
                                td.number { (member.wave) }
                                td { a.id href={ "/console/failed/" (service) "/" (member.failed_message_id) } { (member.failed_message_id) } }
                                td { @if let Some(order) = member.order_id { a.id href={ "/console/orders/" (order) } { (order) } } @else { "–" } }
                                td.number { (amount(member.amount)) }
                                td { (status(member.outcome.as_deref().unwrap_or("WAITING"))) }
                                td { (maybe_time(member.at)) }
                                td { (member.reason.as_deref().unwrap_or("–")) }
                            }
                        }
                    }
                } }
            },
        }
    }
}

/// What may be done now. Which of them apply changes while it goes on, so they stand outside the part that does too; the service
/// refuses what came too late.
fn actions(visit: &Visit, service: &str, replay: &Replay<Word>) -> Markup {
    let path = |action: &str| format!("/console/replays/{service}/{}/{action}", replay.id);
    let is_over = replay.finished_at.is_some();
    html! {
        @if !is_over {
            div.actions {
                (layout::action(visit, &path("pause"), "Pause", &html! {}))
                (layout::action(visit, &path("resume"), "Resume", &html! {
                    p.hint { "It stops again when as many more have failed." }
                }))
                (layout::action(visit, &path("cancel"), "Cancel the replay", &html! {
                    p.hint { "Messages that wait are skipped, and stay failed." }
                }))
            }
        }
    }
}
