//! The books: whether orders, payments and charges fit together.

use ::http::Method;
use chassis::http::Response;
use contracts::Timestamp;
use contracts::books::{Books, BooksVerdict, Disagreement, FullPass};
use maud::{Markup, html};
use serde_json::json;

use super::action::Change;
use super::format::{ago, count, status, time};
use super::layout::{self, Section};
use super::visit::Visit;
use crate::books;

/// `GET /console/books`
pub(super) async fn page(visit: Visit) -> Response {
    let found = books::read(&visit.gateway, visit.asker()).await;
    visit.answer(Section::Books, "Books", Ok(write(&visit, &found)))
}

fn write(visit: &Visit, books: &Books) -> Markup {
    let now = Timestamp::now();
    let verdict = match books.verdict {
        BooksVerdict::Balanced => "Everything that has settled agrees.",
        BooksVerdict::Disagree => "Something does not agree.",
        BooksVerdict::Unknown => "No full pass has come to its end, or the check is held up.",
    };
    html! {
        h1 { "Books" }
        (layout::done(&visit.request))
        p {
            @match books.verdict {
                BooksVerdict::Balanced => (status("BALANCED")),
                BooksVerdict::Disagree => (status("DISAGREE")),
                BooksVerdict::Unknown => (status("UNKNOWN")),
            }
            " " (verdict)
        }
        dl.facts {
            dt { "Compared until" }
            dd { @if let Some(until) = books.compared_until { (time(until)) " (" (ago(until, now)) ")" } @else { "–" } }
            dt { "In flight" } dd { (count(books.in_flight)) " orders are compared when they have had time to settle" }
            @if let Some(pass) = &books.pass {
                dt { "Full pass" } dd { "under way since " (time(pass.started_at)) ", " (count(pass.orders)) " orders so far" }
            }
        }
        @if let Some(pass) = &books.last_pass { (last_pass(pass)) }
        div.actions {
            (layout::action(visit, "/console/books/pass", "Begin a full pass", &html! {
                p.hint { "Compares all orders, payments and charges, at a pace that leaves the saga alone." }
            }))
        }
        h2 { "What does not agree" }
        @if books.disagreements.is_empty() { p { "Nothing that is known." } } @else {
            @if books.disagreement_count > 100 { p.hint { "100 of " (count(books.disagreement_count)) }  }
            (disagreements(&books.disagreements))
        }
    }
}

fn last_pass(pass: &FullPass) -> Markup {
    html! {
        h2 { "The last full pass" }
        dl.facts {
            dt { "From" } dd { (time(pass.started_at)) }
            dt { "To" } dd { (time(pass.finished_at)) }
            dt { "Orders" } dd { (count(pass.orders)) ", " (count(pass.in_flight)) " in flight" }
            @if pass.newer_rows > 0 { dt { "Not judged" } dd { (count(pass.newer_rows)) " rows of a newer version" } }
            dt { "PAID" } dd { (pass.paid) }
            dt { "Charged and not refunded" }
            dd { @if let Some(held) = &pass.held { (held) } @else { "not known: the provider's books can't be read" } }
        }
    }
}

fn disagreements(found: &[Disagreement]) -> Markup {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th { "Order" } th { "Invariant" } th { "Member" } th { "Order service" } th { "Payment service" } th { "Provider" } th { "What" } th { "Since" } } }
            tbody {
                @for wrong in found {
                    tr {
                        td { @if let Some(order) = wrong.order_id { a.id href={ "/console/orders/" (order) } { (order) } } @else { "–" } }
                        td { (wrong.invariant) }
                        td { (wrong.member) }
                        td { (value(&wrong.order)) }
                        td { (value(&wrong.payment)) }
                        td { (value(&wrong.provider)) }
                        td { (wrong.what) }
                        td { (time(wrong.since)) }
                    }
                }
            }
        } }
    }
}

/// `POST /console/books/pass`
pub(super) async fn pass(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let reason = form.reason()?;
            let (template, body) = ("/books/pass", json!({ "reason": reason }));
            let (service, path) = (&visit.gateway.order, template.to_owned());
            visit
                .change(reason, Change { service, method: Method::POST, template, path, body: &body })
                .await?;
            Ok("/console/books?done=pass".to_owned())
        })
        .await
}
