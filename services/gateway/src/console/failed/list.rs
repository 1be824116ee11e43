//! Failed messages as a list.

use chassis::http::Response;
use contracts::failed_message::{FailedMessage, FailedMessageStatus};
use contracts::page::Page;
use contracts::{Problem, Word};
use maud::{Markup, html};
use strum::VariantArray;

use crate::bulkhead::Kind;
use crate::console::format::{amount, count, cut, status, time};
use crate::console::layout::Section;
use crate::console::visit::Visit;

/// What can be asked for.
const PARAMETERS: [&str; 7] = ["status", "queue", "type", "cause", "reason", "from", "to"];

/// `GET /console/failed/{service}`
pub(in crate::console) async fn page(visit: Visit) -> Response {
    let content = list(&visit).await;
    visit.answer(Section::Failed, "Failed messages", content)
}

async fn list(visit: &Visit) -> Result<Markup, Problem> {
    let (name, service) = visit.service()?;
    let (filter, page) = (visit.passed_on(&PARAMETERS), visit.request.page().page());
    let path = format!("/failed-messages?limit=50&page={page}&{filter}");
    let found =
        visit.read::<Page<FailedMessage<Word>>>(service, "/failed-messages", path, Kind::Page).await?;
    let found = found.ok_or_else(|| Problem::not_found("There is no such list."))?;
    let given = |name| visit.given(name);
    let chosen = given("status");
    Ok(html! {
        h1 { "Failed messages of the " (name) " service" }
        form.filter {
            label { "Status"
                select name="status" {
                    option value="" { "any" }
                    @for status in FailedMessageStatus::VARIANTS {
                        @let name = status.to_string();
                        option value=(name) selected[chosen.as_deref() == Some(name.as_str())] { (name) }
                    }
                }
            }
            label { "Queue" input name="queue" value=[given("queue")]; }
            label { "Event" input name="type" value=[given("type")]; }
            label { "Cause" input name="cause" value=[given("cause")] size="40"; }
            label { "Reason has" input name="reason" value=[given("reason")]; }
            button { "Show" }
        }
        p.hint { (count(found.meta.total)) " in all. " a href="/console/failed" { "By cause" } }
        div.scroll tabindex="0" { table {
            thead { tr { th { "Message" } th { "Event" } th { "Queue" } th { "Status" } th.number { "Attempts" } th { "Order" } th.number { "Amount" } th { "Reason" } th { "Last" } } }
            tbody {
                @for message in &found.data {
                    tr {
                        td { a.id href={ "/console/failed/" (name) "/" (message.id) } { (message.id) } }
                        td { (message.event_type.as_deref().unwrap_or("–")) }
                        td { (message.queue) }
                        td { (status(&message.status)) }
                        td.number { (message.attempts) }
                        td {
                            @if let Some(order) = message.order_id {
                                a.id href={ "/console/orders/" (order) } { (order) }
                            } @else { "–" }
                        }
                        td.number { (amount(message.amount)) }
                        td { (cut(&message.reason, 200)) }
                        td { (time(message.last_seen)) }
                    }
                }
            }
        } }
        @if found.meta.total_pages > u64::from(page) {
            p { a href={ "/console/failed/" (name) "?page=" (page + 1) "&" (filter) } { "More" } }
        }
    })
}
