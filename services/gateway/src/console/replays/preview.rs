//! Before a replay is begun: what it would replay, and how it is to go.

use ::http::Method;
use chassis::http::Response;
use contracts::failed_message::FailedMessageFilter;
use contracts::replay::{NewReplay, ReplayPreview};
use contracts::{Problem, Word};
use maud::{Markup, html};

use crate::console::action::Change;
use crate::console::format::{amount, count, time};
use crate::console::layout::{self, Section};
use crate::console::visit::Visit;

/// `GET /console/replays/{service}/new`
pub(in crate::console) async fn page(visit: Visit) -> Response {
    let content = write(&visit).await;
    visit.answer(Section::Replays, "New replay", content)
}

/// The messages that a query means.
fn filter(visit: &Visit) -> FailedMessageFilter {
    let given = |name| visit.given(name);
    FailedMessageFilter {
        queue: given("queue"),
        event_type: given("type"),
        cause: given("cause"),
        reason: given("reasonHas"),
        ..FailedMessageFilter::default()
    }
}

async fn write(visit: &Visit) -> Result<Markup, Problem> {
    let (name, service) = visit.service()?;
    let filter = filter(visit);
    let wanted = NewReplay {
        filter: filter.clone(),
        reason: "preview".to_owned(),
        canary: Vec::new(),
        stop_after: NewReplay::default_stop_after(),
        rate_per_second: None,
    };
    let template = "/failed-messages/replays/preview";
    let preview =
        Change { service, method: Method::POST, template, path: template.to_owned(), body: &wanted };
    let answer = visit.ask(preview).await?;
    let preview: ReplayPreview<Word> = serde_json::from_slice(&answer.body)
        .map_err(|_| Problem::new(contracts::ProblemType::UnexpectedAnswer, "The preview can't be read."))?;
    let fields = html! {
        @for (name, value) in [("queue", &filter.queue), ("type", &filter.event_type), ("cause", &filter.cause), ("reasonHas", &filter.reason)] {
            @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
        }
        label { "First waves (canary), in messages" input name="canary" value="1, 10, 100" autocomplete="off"; }
        label { "Stop when so many fail again" input name="stopAfter" type="number" min="1" value="1"; }
        label { "Most messages a second (none: as fast as it goes)" input name="rate" type="number" min="1"; }
    };
    Ok(html! {
        h1 { "Replay failed messages of the " (name) " service" }
        dl.facts {
            @for (what, value) in [("Cause", &filter.cause), ("Queue", &filter.queue), ("Event", &filter.event_type), ("Reason has", &filter.reason)] {
                @if let Some(value) = value { dt { (what) } dd { code { (value) } } }
            }
            dt { "Messages" } dd { strong { (count(preview.matching)) } " now. Those that fail from here on are not among them." }
            dt { "Orders" } dd { (count(preview.orders)) }
            dt { "Money held up" } dd { (preview.money) }
        }
        @if preview.matching == 0 { p { "There is nothing to replay." } } @else {
            div.actions { (layout::action(visit, &format!("/console/replays/{name}/new"), "Begin the replay", &fields)) }
            h2 { "The first of them" }
            (sample(name, &preview))
        }
    })
}

fn sample(service: &str, preview: &ReplayPreview<Word>) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th { "Message" } th { "Event" } th { "Order" } th.number { "Amount" } th { "Reason" } th { "Last" } } }
            tbody {
                @for message in &preview.sample {
                    tr {
                        td { a.id href={ "/console/failed/" (service) "/" (message.id) } { (message.id) } }
                        td { (message.event_type.as_deref().unwrap_or("–")) }
                        td { @if let Some(order) = message.order_id { a.id href={ "/console/orders/" (order) } { (order) } } @else { "–" } }
                        td.number { (amount(message.amount)) }
                        td { (message.reason) }
                        td { (time(message.last_seen)) }
                    }
                }
            }
        } }
    }
}
