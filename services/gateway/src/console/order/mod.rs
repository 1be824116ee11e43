//! One order: what happened, where it stands, why it is not done, and what may be done about it.

mod actions;
mod page;
mod picture;
mod waiting;

use std::time::Duration;

use chassis::http::{self, Response};
use contracts::order::Timeline;
use contracts::{OrderId, Problem, Timestamp};
use futures_util::FutureExt;
use maud::html;

pub(super) use actions::{ask_now, cancel};

use super::layout::{self, Section};
use super::live::Live;
use super::visit::Visit;
use crate::bulkhead::Kind;
use crate::changes::Subject;
use page::View;
use picture::Step;
use waiting::{Explanation, Known, Order, Payment, explain};

/// When the page is written anew although nothing is known to have changed: it shows what the payment service does meanwhile.
const EVERY: Duration = Duration::from_secs(2);

/// What both services know about an order.
struct Read {
    id: OrderId,
    /// None if the order service does not answer.
    order: Option<Order>,
    /// None if the payment service does not answer.
    payment: Option<Payment>,
    steps: Vec<Step>,
    now: Timestamp,
}

impl Read {
    /// Asks both services at once.
    async fn of(visit: &Visit) -> Result<Self, Problem> {
        let id: OrderId = visit.request.id("id")?;
        let gateway = &visit.gateway;
        let (order, payment, steps) = tokio::join!(
            visit.read(
                &gateway.order,
                "/orders/{id}/diagnosis",
                format!("/orders/{id}/diagnosis"),
                Kind::One
            ),
            visit.read(
                &gateway.payment,
                "/payments/order/{orderId}/diagnosis",
                format!("/payments/order/{id}/diagnosis"),
                Kind::One
            ),
            visit.read::<Timeline<Step>>(
                &gateway.order,
                "/orders/{id}/events",
                format!("/orders/{id}/events?limit=100"),
                Kind::One
            ),
        );
        let steps = steps.ok().flatten().map(|timeline| timeline.events).unwrap_or_default();
        // One of the version before has no such answer, which tells as little as none.
        let (order, payment) = (order.ok().flatten(), payment.ok().flatten());
        Ok(Self { id, order, payment, steps, now: Timestamp::now() })
    }

    fn explain(&self) -> Explanation {
        explain(&Known { order: self.order.as_ref(), payment: self.payment.as_ref(), now: self.now })
    }
}

/// `GET /console/orders/{id}`
pub(super) async fn page(visit: Visit) -> Response {
    let content = Read::of(&visit).await.map(|read| {
        let explanation = read.explain();
        html! {
            h1 { "Order " span.id { (read.id) } }
            (layout::done(&visit.request))
            div hx-sse:connect={ "/console/orders/" (read.id) "/live" } hx-swap="innerMorph" {
                (View::new(&visit, &read, &explanation).write())
            }
        }
    });
    visit.answer(Section::Orders, "Order", content)
}

/// `GET /console/orders/{id}/live`: told by the order service's changes, as the streams of the API are.
pub(super) async fn live(visit: Visit) -> Response {
    let id = match visit.request.id("id") {
        Ok(id) => id,
        Err(problem) => return http::problem(&problem),
    };
    let listening = Some(visit.gateway.changes.listen(Subject::Steps(id)));
    let live = Live { visit, every: EVERY, listening };
    live.response(|visit| {
        let part = async move {
            let read = Read::of(visit).await?;
            Ok(View::new(visit, &read, &read.explain()).write())
        };
        part.boxed()
    })
    .await
}
