//! The list of orders.

use chassis::http::Response;
use contracts::list::Sort;
use contracts::order::Order;
use contracts::{OrderStatus, Problem, Word};
use maud::{Markup, html};
use serde::Deserialize;
use strum::VariantArray;

use super::format::{status, time};
use super::layout::Section;
use super::visit::Visit;

/// How many orders a page has.
const LIMIT: u32 = 50;

/// What can be asked for, as the API has it.
const PARAMETERS: [&str; 6] = ["status", "userId", "createdFrom", "createdTo", "sort", "cursor"];

/// A part of the list: a page, or what comes behind a cursor.
#[derive(Deserialize)]
struct Orders {
    data: Vec<Order<Word, Word>>,
}

/// `GET /console/orders`
pub(super) async fn page(visit: Visit) -> Response {
    let content = list(&visit).await;
    visit.answer(Section::Orders, "Orders", content)
}

async fn list(visit: &Visit) -> Result<Markup, Problem> {
    let path = format!("/orders?limit={LIMIT}&{}", visit.passed_on(&PARAMETERS));
    let found = visit.read_list::<Orders>(&visit.gateway.order, "/orders", path).await?;
    Ok(html! {
        h1 { "Orders" }
        (filter(visit))
        div.scroll tabindex="0" { table {
            thead { tr { th { "Order" } th { "Status" } th.number { "Total" } th { "Customer" } th { "Client" } th { "Placed" } th { "Changed" } } }
            tbody {
                @for order in &found.page.data {
                    tr {
                        td { a.id href={ "/console/orders/" (order.id) } { (order.id) } }
                        td { (status(&order.status)) @if let Some(reason) = &order.cancel_reason { " " span.dim { (reason) } } }
                        td.number { (order.total) }
                        td.id { (order.user_id) }
                        td { @if let Some(owner) = &order.owner { (owner.as_str()) } }
                        td { (time(order.created_at)) }
                        td { (time(order.updated_at)) }
                    }
                }
            }
        } }
        @if found.page.data.is_empty() { p { "There are none." } }
        @if let Some(next) = &found.next { p { a href={ "/console/orders?" (next) } { "More" } } }
    })
}

fn filter(visit: &Visit) -> Markup {
    let given = |name| visit.given(name);
    let chosen = given("status");
    html! {
            form.filter {
                label { "Status"
                    select name="status" {
                        option value="" { "any" }
                        @for status in OrderStatus::VARIANTS {
                            @let name = status.to_string();
                            option value=(name) selected[chosen.as_deref() == Some(name.as_str())] { (name) }
                        }
                    }
                }
                label { "Customer" input name="userId" value=[given("userId")] size="36"; }
                label { "Placed from" input name="createdFrom" value=[given("createdFrom")] placeholder="2026-01-02T03:04:05Z"; }
                label { "to" input name="createdTo" value=[given("createdTo")] placeholder="2026-01-02T03:04:05Z"; }
                label { "Order"
                    select name="sort" {
    @for sort in Sort::VARIANTS {
                            @let name = sort.to_string();
                            option value=(name) selected[given("sort").as_deref() == Some(name.as_str())] { (name) " first" }
                        }
                    }
                }
                button { "Show" }
            }
        }
}
