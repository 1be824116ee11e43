//! Failed messages by their cause: how many, since when, and how much money they hold up.

use std::time::Duration;

use chassis::http::Response;
use contracts::replay::{FailureCause, FailureCauses};
use contracts::{Problem, Timestamp};
use futures_util::FutureExt;
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use crate::bulkhead::Kind;
use crate::console::format::{ago, count, time};
use crate::console::layout::{self, Section};
use crate::console::live::Live;
use crate::console::visit::Visit;

/// How often they are shown anew. The services count them every few seconds, however often they are asked.
const EVERY: Duration = Duration::from_secs(2);

/// `GET /console/failed`
pub(in crate::console) async fn page(visit: Visit) -> Response {
    let content = html! {
        h1 { "Failed messages" }
        p.hint { "Those that wait for a decision, by what made them fail. Ids, numbers and quoted texts make no difference to a cause." }
        div hx-sse:connect="/console/failed/live" hx-swap="innerMorph" { (part(&visit).await) }
    };
    visit.answer(Section::Failed, "Failed messages", Ok(content))
}

/// `GET /console/failed/live`
pub(in crate::console) async fn live(visit: Visit) -> Response {
    Live { visit, every: EVERY, listening: None }.response(|visit| part(visit).map(Ok).boxed()).await
}

async fn part(visit: &Visit) -> Markup {
    let gateway = &visit.gateway;
    let read = async |service| {
        let path = "/failed-messages/causes";
        visit.read::<FailureCauses>(service, path, path.to_owned(), Kind::Page).await
    };
    let (order, payment) = tokio::join!(read(&gateway.order), read(&gateway.payment));
    let now = Timestamp::now();
    html! {
        (of_service("order", order, now))
        (of_service("payment", payment, now))
    }
}

fn of_service(service: &str, found: Result<Option<FailureCauses>, Problem>, now: Timestamp) -> Markup {
    html! {
        h2 id=(service) { "The " (service) " service" }
        @match found {
            Err(problem) => (layout::problem(&problem)),
            Ok(causes) => {
                @let causes = causes.map(|causes| causes.data).unwrap_or_default();
                @if causes.is_empty() { p { "None waits for a decision." } } @else { (table(service, &causes, now)) }
                p { a href={ "/console/failed/" (service) } { "All messages of the " (service) " service" } }
            }
        }
    }
}

fn table(service: &str, causes: &[FailureCause], now: Timestamp) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th { "Cause" } th { "Queue and event" } th.number { "Messages" } th.number { "New" } th { "Last day" }
                th { "First" } th { "Last" } th.number { "Orders" } th.number { "Money held up" } th { "Action" }
            } }
            tbody {
                @for cause in causes {
                    @let query = query(cause);
                    tr {
                        td { a href={ "/console/failed/" (service) "?status=FAILED&" (query) } { (cause.cause) } }
                        td { (cause.queue) br; span.dim { (cause.event_type.as_deref().unwrap_or("no type")) } }
                        td.number { (count(cause.open)) }
                        td.number { (count(cause.new)) }
                        td { (trend(&cause.trend)) }
                        td { (time(cause.first_seen)) }
                        td { (ago(cause.last_seen, now)) }
                        td.number { (count(cause.orders)) }
                        td.number { strong { (cause.money) } }
                        td { a href={ "/console/replays/" (service) "/new?" (query) } { "Replay …" } }
                    }
                }
            }
        } }
    }
}

/// What means the messages of a cause, in a query.
fn query(cause: &FailureCause) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("cause", &cause.cause).append_pair("queue", &cause.queue);
    if let Some(event_type) = &cause.event_type {
        query.append_pair("type", event_type);
    }
    query.finish()
}

/// Bars, one an hour.
fn trend(hours: &[u64]) -> Markup {
    let most = hours.iter().copied().max().unwrap_or_default().max(1);
    let sum: u64 = hours.iter().sum();
    html! {
        svg.trend viewBox={ "0 0 " (hours.len() * 4) " 20" } preserveAspectRatio="none" role="img"
            aria-label={ (sum) " failed in the last day, at most " (most) " an hour" } {
            @for (hour, count) in hours.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let height = (count * 18 / most).max(1);
                rect x=(hour * 4) y=(20 - height) width="3" height=(height) {}
            }
        }
    }
}
