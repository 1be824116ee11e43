//! Money that is owed to customers, and operators' decisions about it.

use ::http::Method;
use chassis::http::Response;
use contracts::page::Page;
use contracts::refund::{Refund, RefundDetails, RefundStatus, RetryRequest, SettleRequest};
use contracts::{PaymentId, Problem, Word};
use maud::{Markup, html};
use serde::Serialize;

use super::action::Change;
use super::format::{status, time};
use super::layout::{self, Section};
use super::visit::Visit;
use crate::bulkhead::Kind;

/// `GET /console/refunds`
pub(super) async fn list(visit: Visit) -> Response {
    let wanted = visit.request.query_parameter("status").and_then(|text| text.parse::<RefundStatus>().ok());
    let filter = wanted.map(|status| format!("&status={status}")).unwrap_or_default();
    let path = format!("/refunds?limit=50&page={}{filter}", visit.request.page().page());
    let found = visit.read::<Page<Refund<Word>>>(&visit.gateway.payment, "/refunds", path, Kind::Page).await;
    let content = found.map(|found| {
        let page = visit.request.page().page();
        let more = found.as_ref().is_some_and(|found| found.meta.total_pages > u64::from(page));
        let refunds = found.map(|found| found.data).unwrap_or_default();
        html! {
            h1 { "Refunds that are owed" }
            form.filter {
                label { "Status"
                    select name="status" {
                        option value="" { "any" }
                        @for name in ["OPEN", "REFUSED"] {
                            option value=(name) selected[wanted.is_some_and(|wanted| wanted.to_string() == name)] { (name) }
                        }
                    }
                }
                button { "Show" }
            }
            @if refunds.is_empty() { p { "There are none." } } @else { (table(&refunds)) }
            @if more { p { a href={ "/console/refunds?page=" (page + 1) (filter.as_str()) } { "More" } } }
        }
    });
    visit.answer(Section::Refunds, "Refunds", content)
}

fn table(refunds: &[Refund<Word>]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th { "Payment" } th { "Order" } th.number { "Amount" } th { "Status" } th { "Owed since" } th.number { "Attempts" } th { "Reason" } } }
            tbody {
                @for refund in refunds {
                    tr {
                        td { a.id href={ "/console/refunds/" (refund.payment_id) } { (refund.payment_id) } }
                        td { a.id href={ "/console/orders/" (refund.order_id) } { (refund.order_id) } }
                        td.number { (refund.amount) }
                        td { (status(&refund.status.to_string())) }
                        td { (time(refund.since)) }
                        td.number { (refund.attempts) }
                        td { (refund.reason.as_deref().unwrap_or("–")) }
                    }
                }
            }
        } }
    }
}

/// `GET /console/refunds/{paymentId}`
pub(super) async fn page(visit: Visit) -> Response {
    let content = details(&visit).await;
    visit.answer(Section::Refunds, "Refund", content)
}

async fn details(visit: &Visit) -> Result<Markup, Problem> {
    let id: PaymentId = visit.request.id("paymentId")?;
    let path = format!("/refunds/{id}");
    let RefundDetails { refund, audit } =
        visit.find::<RefundDetails<Word, Word>>(&visit.gateway.payment, "/refunds/{paymentId}", path).await?;
    Ok(html! {
        h1 { "Refund of " (refund.amount) }
        (layout::done(&visit.request))
        dl.facts {
            dt { "Status" } dd { (status(&refund.status.to_string())) }
            dt { "Payment" } dd.id { (refund.payment_id) " " (status(&refund.payment_status)) }
            dt { "Order" } dd { a.id href={ "/console/orders/" (refund.order_id) } { (refund.order_id) } }
            dt { "Owed since" } dd { (time(refund.since)) }
            dt { "Transaction" } dd.id { (refund.transaction_id.as_deref().unwrap_or("–")) }
            dt { "Attempts" } dd { (refund.attempts) }
            dt { "Reason" } dd { (refund.reason.as_deref().unwrap_or("–")) }
        }
        @if refund.status == RefundStatus::Refused {
            div.actions {
                (layout::action(visit, &format!("/console/refunds/{id}/retry"), "Ask the provider once more", &html! {}))
                (layout::action(visit, &format!("/console/refunds/{id}/settle"), "Record that the money went back", &html! {
                    label { "What names the transfer" input name="reference" required maxlength="1000" autocomplete="off"; }
                }))
            }
        }
        h2 { "What happened to it" }
        div.scroll tabindex="0" { table {
            thead { tr { th { "When" } th { "What" } th { "Who" } th { "Transfer" } th { "Why" } } }
            tbody {
                @for entry in &audit {
                    tr {
                        td { (time(entry.at)) } td { (entry.action) } td { (entry.actor) }
                        td.id { (entry.reference.as_deref().unwrap_or("–")) } td { (entry.note) }
                    }
                }
            }
        } }
    })
}

/// `POST /console/refunds/{paymentId}/retry`
pub(super) async fn retry(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let note = form.reason()?;
            let change = RetryRequest { note: note.to_owned() };
            decide(&visit, "/refunds/{paymentId}/retry", "retry", note, &change).await
        })
        .await
}

/// `POST /console/refunds/{paymentId}/settle`
pub(super) async fn settle(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let note = form.reason()?;
            let reference = form.required("reference", "must be what names the transfer")?.to_owned();
            let change = SettleRequest { reference, note: note.to_owned() };
            decide(&visit, "/refunds/{paymentId}/settle", "settle", note, &change).await
        })
        .await
}

async fn decide(
    visit: &Visit,
    template: &'static str,
    decision: &str,
    reason: &str,
    body: &impl Serialize,
) -> Result<String, Problem> {
    let id: PaymentId = visit.request.id("paymentId")?;
    let path = format!("/refunds/{id}/{decision}");
    let service = &visit.gateway.payment;
    visit.change(reason, Change { service, method: Method::POST, template, path, body }).await?;
    Ok(format!("/console/refunds/{id}?done={decision}"))
}
