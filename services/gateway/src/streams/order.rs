//! The steps of one order, until none is expected any more.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use chassis::http::{self, Request, Response};
use contracts::order::{Order, Timeline};
use contracts::{EventId, EventType, OrderId, OrderStatus, Problem, ProblemType};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::sse::Frames;
use super::{Page, Reader, Source, Stream, enter, first_page, last_event_id};
use crate::Gateway;
use crate::changes::Subject;
use crate::upstream::{UpstreamError, UpstreamResponse};

/// How long an order is waited for that is not there. Its client may have just got its 202.
const ARRIVAL: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "/orders/{id}/events";

/// A stream of the steps of the order in the path; 204 where a client has all of them.
pub(crate) async fn steps_of_order(gateway: Arc<Gateway>, request: &Request) -> Result<Response, Problem> {
    let id = request.id("id")?;
    let (caller, place) = enter(&gateway, request).await?;
    let listening = gateway.changes.listen(Subject::Steps(id));
    let after = last_event_id(&request.headers).and_then(|id| id.parse().ok());
    let after = after.or_else(|| request.cursor().after);
    let reader = Reader::new(gateway, request)?;
    let mut steps = Steps::new(id, after);
    let deadline = Instant::now() + ARRIVAL;
    let first = loop {
        match steps.next(&reader).await {
            // However long the reading takes.
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                timeout_at(deadline, listening.changed()).await.map_err(|_| problem)?;
            }
            first => break first,
        }
    };
    let page = first_page(first, request)?;
    if page.is_last && steps.is_known_to_client {
        // Tells a browser that it need not come back.
        return Ok(http::no_content());
    }
    Ok(Stream::new(reader, caller, place, listening, steps, page).response())
}

fn not_found() -> Problem {
    Problem::not_found("There is no such thing.")
}

struct Steps {
    order_id: OrderId,
    /// The last step that the client said it has, until that is found.
    resume: Option<EventId>,
    /// The last step that was read.
    last: Option<EventId>,
    saga: Saga,
    /// There was nothing that the client did not have.
    is_known_to_client: bool,
}

impl Steps {
    fn new(order_id: OrderId, resume: Option<EventId>) -> Self {
        Self { order_id, resume, last: None, saga: Saga::default(), is_known_to_client: false }
    }

    /// The page that an answer holds.
    fn page(&mut self, response: &UpstreamResponse) -> Result<Page, Problem> {
        let unreadable =
            |_| Problem::new(ProblemType::UnexpectedAnswer, "The order service's answer can't be read.");
        let timeline: Timeline<Box<RawValue>> = serde_json::from_slice(&response.body).map_err(unreadable)?;
        let mut steps = Vec::new();
        for json in timeline.events {
            let step: Step = serde_json::from_str(json.get()).map_err(unreadable)?;
            steps.push((step, json));
        }
        for (step, _) in &steps {
            self.saga.add(step);
            self.last = Some(step.event_id);
        }
        // What it has is read too, as how far the saga is follows from all steps. One that names none of them gets all.
        let resume = self.resume.take();
        let known =
            steps.iter().position(|(step, _)| Some(step.event_id) == resume).map_or(0, |place| place + 1);
        let mut frames = Frames::default();
        for (step, json) in &steps[known..] {
            frames.push(step.event_id, &step.event_type, json.get());
        }
        let more = response.link.is_some();
        // None at all: the order settled so long ago that its steps were deleted. Whether it is final, it says itself.
        let is_over = !more && (self.last.is_none() || self.saga.is_over());
        self.is_known_to_client = frames.is_empty();
        if is_over && let Some(status) = self.saga.status {
            frames.push_end(&format!(r#"{{"status":"{status}"}}"#));
        }
        Ok(Page { frames, more, is_last: is_over })
    }
}

impl Steps {
    /// Whether the order can't change any more.
    async fn is_final(&self, reader: &Reader) -> Result<bool, Problem> {
        let template = "/orders/{id}";
        let response = reader.get(&reader.within, template, format!("/orders/{}", self.order_id)).await?;
        let order = serde_json::from_slice::<Order>(&response.body).ok();
        Ok(order.is_some_and(|order| order.status.is_final()))
    }
}

impl Source for Steps {
    const PACE: Duration = Duration::from_millis(10);

    async fn next(&mut self, reader: &Reader) -> Result<Page, Problem> {
        let after = self.last.map(|last| format!("&after={last}")).unwrap_or_default();
        let response = reader
            .get(&reader.within, TEMPLATE, format!("/orders/{}/events?limit=100{after}", self.order_id))
            .await?;
        match response.status {
            StatusCode::OK => {
                let mut page = self.page(&response)?;
                if self.last.is_none() && page.is_last {
                    page.is_last = self.is_final(reader).await?;
                }
                Ok(page)
            }
            StatusCode::NOT_FOUND => Err(not_found()),
            _ => Err(UpstreamError::Failed("order").into()),
        }
    }

    fn position(&self) -> Option<String> {
        None
    }
}

/// What a stream needs to know of a step. Its words may be those of a newer version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    event_id: EventId,
    event_type: String,
    status: Option<String>,
}

/// How far an order's saga is.
#[derive(Debug, Default)]
struct Saga {
    status: Option<OrderStatus>,
    /// The payment service was told that the order is cancelled.
    is_cancellation_sent: bool,
    /// The payment has ended without money that is to be given back.
    is_payment_over: bool,
}

impl Saga {
    fn add(&mut self, step: &Step) {
        use EventType as E;
        let parsed = step.status.as_deref().map(str::parse);
        if let Some(status) = parsed {
            self.status = status.ok();
        }
        match step.event_type.parse() {
            Ok(E::OrderCancelled) => self.is_cancellation_sent = true,
            Ok(E::PaymentDeclined | E::PaymentFailed | E::PaymentCancelled | E::PaymentRefunded) => {
                self.is_payment_over = true;
            }
            _ => {}
        }
    }

    /// Whether no step is expected any more. A paid order may still be cancelled. Of one that was cancelled before it was placed,
    /// the payment service is never told.
    fn is_over(&self) -> bool {
        match self.status {
            Some(OrderStatus::Failed) => true,
            Some(OrderStatus::Cancelled) => self.is_payment_over || !self.is_cancellation_sent,
            Some(OrderStatus::PendingPayment | OrderStatus::Paid) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_over(steps: &[(&str, Option<&str>)]) -> bool {
        let mut saga = Saga::default();
        for (event_type, status) in steps {
            let status = status.map(str::to_owned);
            saga.add(&Step { event_id: EventId::new(), event_type: (*event_type).to_owned(), status });
        }
        saga.is_over()
    }

    #[test]
    fn a_saga_is_over_when_no_step_can_follow() {
        let placed =
            [("CreateOrderRequested", Some("PENDING_PAYMENT")), ("OrderCreated", Some("PENDING_PAYMENT"))];
        let then = |steps: &[(&'static str, Option<&'static str>)]| is_over(&[&placed, steps].concat());
        let (paid, failed) = (("PaymentApproved", Some("PAID")), ("PaymentFailed", Some("FAILED")));
        let cancelled = [("OrderCancelRequested", Some("CANCELLED")), ("OrderCancelled", Some("CANCELLED"))];
        assert!(!then(&[]) && !then(&[paid]) && !then(&cancelled));
        assert!(then(&[failed]));
        for end in ["PaymentCancelled", "PaymentRefunded", "PaymentDeclined", "PaymentFailed"] {
            assert!(then(&[cancelled[0], cancelled[1], (end, Some("CANCELLED"))]), "{end}");
        }
        assert!(then(&[("PaymentDeclined", Some("CANCELLED")), ("OrderCancelled", Some("CANCELLED"))]));
        // The cancellation came first.
        assert!(!is_over(&[("OrderCancelRequested", None)]));
        assert!(is_over(&[("OrderCancelRequested", None), ("CreateOrderRequested", Some("CANCELLED"))]));
        // A status of a newer version.
        assert!(!then(&[("PaymentApproved", Some("SHIPPED"))]));
    }
}
