//! The audit: who did and saw what, and who was refused.

use chassis::http::Response;
use contracts::audit_list::NumberedAuditRecord;
use contracts::{Problem, Word};
use maud::{Markup, html};
use serde::Deserialize;

use super::format::{count, time};
use super::layout::Section;
use super::visit::Visit;

/// What can be asked for.
const PARAMETERS: [&str; 6] = ["actor", "action", "subject", "from", "to", "cursor"];

/// Its records, whatever version wrote them.
#[derive(Deserialize)]
struct Records {
    data: Vec<NumberedAuditRecord<Word>>,
}

/// `GET /console/audit`
pub(super) async fn page(visit: Visit) -> Response {
    let content = list(&visit).await;
    visit.answer(Section::Audit, "Audit", content)
}

async fn list(visit: &Visit) -> Result<Markup, Problem> {
    let path = format!("/audit-records?limit=40&{}", visit.passed_on(&PARAMETERS));
    let found = visit.read_list::<Records>(&visit.gateway.order, "/audit-records", path).await?;
    let given = |name| visit.given(name);
    Ok(html! {
        h1 { "Audit" }
        form.filter {
            label { "Who" input name="actor" value=[given("actor")]; }
            label { "What" input name="action" value=[given("action")] placeholder="ADMIN_WRITE"; }
            label { "About" input name="subject" value=[given("subject")] size="36"; }
            label { "From" input name="from" value=[given("from")] placeholder="2026-01-02T03:04:05Z"; }
            label { "to" input name="to" value=[given("to")] placeholder="2026-01-02T03:04:05Z"; }
            button { "Show" }
        }
        div.scroll tabindex="0" { table {
            thead { tr { th.number { "No." } th { "When" } th { "What" } th { "Who" } th { "Key" } th { "From" } th { "About" } th.number { "Outcome" } th { "Why" } th.number { "Times" } } }
            tbody {
                @for NumberedAuditRecord { number, record } in &found.page.data {
                    tr {
                        td.number { (number) }
                        td { (time(record.recorded_at)) }
                        td { (record.action) }
                        td { (record.actor.as_deref().unwrap_or("–")) }
                        td.key { (record.key_id.as_deref().unwrap_or("–")) }
                        td { (record.address.as_deref().unwrap_or("–")) }
                        td { (record.subject.as_deref().unwrap_or("–")) }
                        td.number { @if let Some(outcome) = record.outcome { (outcome) } @else { "–" } }
                        td { (record.reason.as_deref().unwrap_or("–")) }
                        td.number { (count(u64::from(record.count))) }
                    }
                }
            }
        } }
        @if found.page.data.is_empty() { p { "There is no such record." } }
        @if let Some(next) = &found.next { p { a href={ "/console/audit?" (next) } { "Older" } } }
    })
}
