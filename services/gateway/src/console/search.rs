//! Search: one box for any id.

use ::http::StatusCode;
use chassis::http::Response;
use contracts::Problem;
use contracts::search::{FoundOrder, SearchResults};
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::layout::{self, Section};
use super::visit::{Visit, go_to};
use crate::bulkhead::Kind;

/// `GET /console/search?q=…`: goes to the only order that is found, and lists several.
pub(super) async fn page(visit: Visit) -> Response {
    let wanted = visit.request.query_parameter("q").unwrap_or_default().trim().to_owned();
    let (found, problems) = search(&visit, &wanted).await;
    if let [only] = found[..]
        && problems.is_empty()
    {
        visit.note(StatusCode::SEE_OTHER);
        return go_to(&format!("/console/orders/{}", only.order_id));
    }
    visit.answer(Section::None, "Search", Ok(results(&wanted, &found, &problems)))
}

/// What the services find, and why one of them finds nothing.
async fn search(visit: &Visit, wanted: &str) -> (Vec<FoundOrder>, Vec<Problem>) {
    let query = Serializer::new(String::new()).append_pair("q", wanted).finish();
    let path = format!("/search?{query}");
    let gateway = &visit.gateway;
    let (orders, payments) = tokio::join!(
        visit.read::<SearchResults>(&gateway.order, "/search", path.clone(), Kind::One),
        visit.read::<SearchResults>(&gateway.payment, "/search", path.clone(), Kind::One),
    );
    let (mut found, mut problems) = (Vec::<FoundOrder>::new(), Vec::new());
    for answer in [orders, payments] {
        match answer {
            Ok(results) => {
                for order in results.unwrap_or_default().orders {
                    if !found.iter().any(|known| known.order_id == order.order_id) {
                        found.push(order);
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    // Both say the same of a text that can't be searched for.
    problems.dedup();
    (found, problems)
}

fn results(wanted: &str, found: &[FoundOrder], problems: &[Problem]) -> Markup {
    html! {
        h1 { "Search" }
        @for problem in problems { (layout::problem(problem)) }
        @if found.is_empty() {
            p { "Nothing is known under " code { (wanted) } "." }
            p.hint {
                "Ids of orders, payments, events and traces are searched for whole, and so are the provider's transaction ids, \
                 correlation ids and Idempotency-Keys. A command that was accepted a moment ago may still be in its queue."
            }
        } @else {
            ul {
                @for FoundOrder { order_id, by } in found {
                    li { a.id href={ "/console/orders/" (order_id) } { (order_id) } " by its " (by) }
                }
            }
        }
    }
}
