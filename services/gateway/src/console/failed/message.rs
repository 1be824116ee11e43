//! One failed message: what it says, what happened to it, and what may be done about it.

use chassis::http::Response;
use contracts::failed_message::{FailedMessage, FailedMessageDetails, FailedMessageStatus};
use contracts::{Problem, Word};
use maud::{Markup, html};
use serde_json::Value;
use uuid::Uuid;

use super::difference::difference;
use crate::console::format::{amount, cut, status, time};
use crate::console::layout::{self, Section};
use crate::console::visit::Visit;

/// How much of a text is shown, in characters. Events have some hundred.
const LONGEST: usize = 8000;

type Details = FailedMessageDetails<Word, Word>;

/// `GET /console/failed/{service}/{id}`
pub(in crate::console) async fn page(visit: Visit) -> Response {
    let content = write(&visit).await;
    visit.answer(Section::Failed, "Failed message", content)
}

async fn write(visit: &Visit) -> Result<Markup, Problem> {
    let (name, service) = visit.service()?;
    let id: Uuid = visit.request.id("id")?;
    let path = format!("/failed-messages/{id}");
    let details: Details = visit.find(service, "/failed-messages/{id}", path).await?;
    let Details { message, headers, body, edited_body, audit } = &details;
    Ok(html! {
        h1 { "Failed message " span.id { (id) } }
        (layout::done(&visit.request))
        (facts(name, message))
        (actions(visit, name, &details))
        h2 { "Body" }
        @match edited_body {
            None => pre { (shown(body)) },
            Some(edited) => {
                p { "An operator changed it. It is handled again with what is marked " ins { "so" } "; what came is marked " del { "so" } "." }
                (difference(&shown(body), &shown(edited)))
            }
        }
        h2 { "Headers" }
        pre { (cut(&format!("{headers:#}"), LONGEST)) }
        h2 { "What happened to it" }
        div.scroll tabindex="0" { table {
            thead { tr { th { "When" } th { "What" } th { "Who" } th { "Why, or what came of it" } } }
            tbody {
                @for entry in audit {
                    tr {
                        td { (time(entry.at)) } td { (entry.action) } td { (entry.actor) }
                        td { (entry.note.as_deref().unwrap_or("–")) }
                    }
                }
            }
        } }
    })
}

fn facts(service: &str, message: &FailedMessage<Word>) -> Markup {
    html! {
        dl.facts {
            dt { "Status" } dd { (status(&message.status)) }
            dt { "Reason" } dd { strong { (message.reason) } }
            dt { "Service" } dd { (service) }
            dt { "Queue" } dd { (message.queue) }
            dt { "Published to" } dd { (message.exchange) " with " code { (message.routing_key) } }
            dt { "Event" } dd { (message.event_type.as_deref().unwrap_or("–")) }
            dt { "Message id" } dd.id { (message.message_id.as_deref().unwrap_or("–")) }
            dt { "Order" }
            dd {
                @if let Some(order) = message.order_id {
                    a.id href={ "/console/orders/" (order) } { (order) }
                } @else { "–" }
            }
            dt { "Amount" } dd { (amount(message.amount)) }
            dt { "Attempts" } dd { (message.attempts) }
            dt { "First" } dd { (time(message.first_seen)) }
            dt { "Last" } dd { (time(message.last_seen)) }
            dt { "Correlation id" } dd.id { (message.correlation_id.as_deref().unwrap_or("–")) }
            dt { "Trace" } dd.id { (message.trace_id.as_deref().unwrap_or("–")) }
        }
    }
}

fn actions(visit: &Visit, service: &str, details: &Details) -> Markup {
    let Details { message, body, edited_body, .. } = details;
    let path = |action: &str| format!("/console/failed/{service}/{}/{action}", message.id);
    let is_open = message.status == <&str>::from(FailedMessageStatus::Failed);
    let text = edited_body.as_ref().unwrap_or(body);
    html! {
        @if is_open {
            div.actions {
                (layout::action(visit, &path("replay"), "Replay", &html! {}))
                @if text.chars().count() <= LONGEST { (layout::action(visit, &path("edit"), "Change the body", &html! {
                    label { "Body" textarea name="body" required spellcheck="false" { (pretty(text)) } }
                    p.hint { "It must be what the queue's consumer can read, under the same event id. What came is kept." }
                })) }
                (layout::action(visit, &path("discard"), "Give it up", &html! {
                    p.hint { "It is handled no more. Its order stays as it is." }
                }))
            }
        } @else {
            p.hint { "It does not wait for a decision." }
        }
    }
}

/// As much of a body as a page shows; the API has all of it.
fn shown(body: &str) -> String {
    cut(&pretty(body), LONGEST)
}

/// JSON with a member a line; any other text as it is.
fn pretty(text: &str) -> String {
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |json| format!("{json:#}"))
}
