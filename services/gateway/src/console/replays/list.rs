//! The replays of both services.

use chassis::http::Response;
use contracts::page::Page;
use contracts::replay::Replay;
use contracts::{Problem, Word};
use maud::{Markup, html};

use super::page::progress;
use crate::bulkhead::Kind;
use crate::console::format::{status, time};
use crate::console::layout::{self, Section};
use crate::console::visit::Visit;

/// `GET /console/replays`
pub(in crate::console) async fn page(visit: Visit) -> Response {
    let gateway = &visit.gateway;
    let read = async |service| {
        let template = "/failed-messages/replays";
        visit.read::<Page<Replay<Word>>>(service, template, format!("{template}?limit=25"), Kind::Page).await
    };
    let (order, payment) = tokio::join!(read(&gateway.order), read(&gateway.payment));
    let content = html! {
        h1 { "Replays" }
        p.hint { "A replay is begun from a cause of " a href="/console/failed" { "failed messages" } ". It goes on whatever is restarted." }
        (of_service("order", order))
        (of_service("payment", payment))
    };
    visit.answer(Section::Replays, "Replays", Ok(content))
}

fn of_service(service: &str, found: Result<Option<Page<Replay<Word>>>, Problem>) -> Markup {
    html! {
        h2 { "The " (service) " service" }
        @match found {
            Err(problem) => (layout::problem(&problem)),
            Ok(page) => {
                @let replays = page.map(|page| page.data).unwrap_or_default();
                @if replays.is_empty() { p { "There was none." } } @else {
                    div.scroll tabindex="0" { table {
                        thead { tr { th { "Replay" } th { "Status" } th { "Progress" } th { "Begun" } th { "By" } th { "Why" } } }
                        tbody {
                            @for replay in &replays {
                                tr {
                                    td { a.id href={ "/console/replays/" (service) "/" (replay.id) } { (replay.id) } }
                                    td { (status(&replay.status)) }
                                    td { (progress(&replay.outcomes)) }
                                    td { (time(replay.created_at)) }
                                    td { (replay.actor) }
                                    td { (replay.reason) }
                                }
                            }
                        }
                    } }
                }
            }
        }
    }
}
