//! What the page of an order shows, as it stands now.

use contracts::failed_message::FailedMessage;
use contracts::{Timestamp, Word};
use maud::{Markup, html};

use super::picture::{Step, picture};
use super::waiting::{Explanation, Order, State};
use super::{Read, actions};
use crate::console::format::{ago, between, maybe_time, status, time, until};
use crate::console::visit::Visit;

/// What is shown.
pub(super) struct View<'a> {
    read: &'a Read,
    explanation: &'a Explanation,
    visit: &'a Visit,
}

impl<'a> View<'a> {
    pub(super) fn new(visit: &'a Visit, read: &'a Read, explanation: &'a Explanation) -> Self {
        Self { read, explanation, visit }
    }

    pub(super) fn write(&self) -> Markup {
        let Read { steps, .. } = self.read;
        html! {
            (self.why())
            (actions::forms(self.visit, self.read, self.explanation))
            h2 { "The saga" }
            @if steps.is_empty() {
                p { "No step of it is on record." }
            } @else {
                div.scroll tabindex="0" { (picture(steps)) }
            }
            div.sides { (self.order()) (self.payment()) }
            (self.messages())
            @if !steps.is_empty() { (events(steps)) }
        }
    }

    /// Why it is not done, or how it ended.
    fn why(&self) -> Markup {
        let Explanation { state, place, since, next, due, deadline, .. } = self.explanation;
        let now = self.read.now;
        let (class, heading) = match state {
            State::Settled => ("settled", "Settled"),
            State::Waiting => ("waiting", "Why it is not done"),
            State::Stuck => ("stuck", "Why it is not done: it does not go on by itself"),
            State::Unknown => ("stuck", "Where it stands is not known now"),
        };
        html! {
            section.why.(class) aria-labelledby="why" {
                h2 #why { (heading) }
                p { strong { (place) } @if let Some(since) = since { " Since " (time(*since)) " (" (ago(*since, now)) ")." } }
                p { "Next: " (next) @if let Some(due) = due { " At " (time(*due)) " (" (until(*due, now)) ")." } }
                @if let Some(deadline) = deadline {
                    p { "Without a result of its payment it is cancelled at " (time(*deadline)) " (" (until(*deadline, now)) ")." }
                }
            }
        }
    }

    fn order(&self) -> Markup {
        let nothing = Order::default();
        let diagnosis = self.read.order.as_ref().unwrap_or(&nothing);
        html! {
            section.side {
                h3 { "Order service" }
                @if self.read.order.is_none() {
                    p.bad { "It does not answer." }
                } @else if let Some(order) = &diagnosis.order {
                    dl.facts {
                        dt { "Status" } dd { (status(&order.status)) @if let Some(reason) = &order.cancel_reason { " " (reason) } }
                        dt { "Total" } dd { (order.total) }
                        dt { "Customer" } dd.id { (order.user_id) }
                        @if let Some(owner) = &order.owner { dt { "Client" } dd { (owner.as_str()) } }
                        dt { "Placed" } dd { (time(order.created_at)) }
                        dt { "Changed" } dd { (time(order.updated_at)) }
                        @if let Some(deadline) = diagnosis.deadline { dt { "Deadline" } dd { (time(deadline)) } }
                        dt { "Correlation id" } dd.id { (diagnosis.correlation_id.as_deref().unwrap_or("–")) }
                        dt { "Trace" } dd.id { (self.trace(diagnosis.trace_id.as_deref())) }
                        dt { "Outbox" } dd { (diagnosis.outbox.len()) }
                    }
                } @else {
                    p { "It has no such order." }
                }
            }
        }
    }

    fn payment(&self) -> Markup {
        html! {
            section.side {
                h3 { "Payment service" }
                @match &self.read.payment {
                    None => p.bad { "It does not answer." },
                    Some(diagnosis) => @match &diagnosis.payment {
                        None => p { "It has no payment for this order." },
                        Some(payment) => dl.facts {
                            dt { "Status" } dd { (status(&payment.status)) }
                            dt { "Amount" } dd { (payment.amount) }
                            dt { "Payment" } dd.id { (payment.id) }
                            dt { "Transaction" } dd.id { (payment.transaction_id.as_deref().unwrap_or("–")) }
                            dt { "Attempts" } dd { (payment.attempts) }
                            dt { "Last error" } dd { (payment.last_error.as_deref().unwrap_or("–")) }
                            dt { "Next step" }
                            dd {
                                @match &diagnosis.next_step {
                                    Some(next) => { (next.step) ", due " (time(next.due_at)) },
                                    None => "–",
                                }
                            }
                            dt { "Charged until" } dd { (maybe_time(diagnosis.expires_at)) }
                            @if diagnosis.refund_owed_since.is_some() {
                                dt { "Refund owed" } dd { (maybe_time(diagnosis.refund_owed_since)) }
                            }
                            dt { "Opened" } dd { (time(payment.created_at)) }
                            dt { "Changed" } dd { (time(payment.updated_at)) }
                            dt { "Outbox" } dd { (diagnosis.outbox.len()) }
                        },
                    },
                }
            }
        }
    }

    fn trace(&self, trace_id: Option<&str>) -> Markup {
        let jaeger = self.visit.gateway.console.jaeger.as_ref();
        let page = |id: &str| Some(jaeger?.as_str().trim_end_matches('/').to_owned() + "/trace/" + id);
        html! {
            @match trace_id {
                None => "–",
                Some(id) => @match page(id) {
                    Some(page) => a href=(page) rel="noreferrer" { (id) },
                    None => (id),
                },
            }
        }
    }

    /// The messages about it that could not be handled.
    fn messages(&self) -> Markup {
        let of_order = self.read.order.iter().flat_map(|order| &order.failed_messages);
        let of_payment = self.read.payment.iter().flat_map(|payment| &payment.failed_messages);
        let of_order = of_order.map(|message| ("order", message));
        let all: Vec<(&str, &FailedMessage<Word>)> =
            of_order.chain(of_payment.map(|message| ("payment", message))).collect();
        html! {
            @if !all.is_empty() {
                h2 { "Failed messages about it" }
                div.scroll tabindex="0" { table {
                    thead { tr { th { "Message" } th { "Queue" } th { "Status" } th { "Attempts" } th { "Reason" } th { "Last seen" } } }
                    tbody {
                        @for (service, message) in all {
                            tr {
                                td { a.id href={ "/console/failed/" (service) "/" (message.id) } { (message.id) } }
                                td { (message.queue) }
                                td { (status(&message.status)) }
                                td.number { (message.attempts) }
                                td { (message.reason) }
                                td { (time(message.last_seen)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// The steps as a table, and what each of them says.
fn events(steps: &[Step]) -> Markup {
    let mut before: Option<Timestamp> = None;
    html! {
        h2 { "Events" }
        div.scroll tabindex="0" { table {
            thead { tr { th { "When" } th.number { "After" } th { "Event" } th { "Order's status" } th { "Content" } } }
            tbody {
                @for step in steps {
                    @let after = before.replace(step.occurred_at);
                    tr {
                        td { (time(step.occurred_at)) }
                        td.number { @if let Some(after) = after { (between(after, step.occurred_at)) } }
                        td { (step.event_type) br; span.id.dim { (step.event_id) } }
                        td { @if let Some(found) = &step.status { (status(found)) } @else { "–" } }
                        td { details #{ "event-" (step.event_id) } hx-morph-skip { summary { "Payload" } pre { (format!("{:#}", step.payload)) } } }
                    }
                }
            }
        } }
    }
}
