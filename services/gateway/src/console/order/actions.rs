//! What an operator does about an order.

use ::http::Method;
use chassis::http::Response;
use contracts::OrderId;
use maud::{Markup, html};
use serde_json::json;

use super::Read;
use super::waiting::{Action, Explanation};
use crate::commands;
use crate::console::action::Change;
use crate::console::layout;
use crate::console::visit::Visit;

/// The forms of what may be done now.
pub(super) fn forms(visit: &Visit, read: &Read, explanation: &Explanation) -> Markup {
    let id = read.id;
    html! {
        div.actions {
            @for found in &explanation.actions {
                @match found {
                    Action::Cancel => (layout::action(visit, &format!("/console/orders/{id}/cancel"), "Cancel the order", &html! {
                        p.hint { "A charge that was made is refunded." }
                    })),
                    Action::AskNow => (layout::action(visit, &format!("/console/orders/{id}/ask-now"), "Ask the provider now", &html! {
                        p.hint { "Ends the pause. The key of the charge stays the same: it is made once." }
                    })),
                    Action::Replay(service, message) => a href={ "/console/failed/" (service) "/" (message) } { "To the failed message" },
                    Action::Books => a href="/console/books" { "To the books" },
                    Action::DecideRefund(payment) => a href={ "/console/refunds/" (payment) } { "To the refused refund" },
                }
            }
        }
    }
}

/// `POST /console/orders/{id}/cancel`
pub(crate) async fn cancel(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let id: OrderId = visit.request.id("id")?;
            commands::cancel_for_operator(&visit.gateway, &visit.request, id, form.reason()?).await?;
            Ok(format!("/console/orders/{id}?done=cancel"))
        })
        .await
}

/// `POST /console/orders/{id}/ask-now`
pub(crate) async fn ask_now(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let (id, reason): (OrderId, _) = (visit.request.id("id")?, form.reason()?);
            let change = Change {
                service: &visit.gateway.payment,
                method: Method::POST,
                template: "/payments/order/{orderId}/ask-now",
                path: format!("/payments/order/{id}/ask-now"),
                body: &json!({ "reason": reason }),
            };
            visit.change(reason, change).await?;
            Ok(format!("/console/orders/{id}?done=ask"))
        })
        .await
}
