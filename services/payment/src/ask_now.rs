//! An operator has the provider asked now what it is to be asked later. Only the gateway calls this.

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::http::{self, Request, Response, Routes, route};
use contracts::ask_now::{AskNowAccepted, AskNowRequest};
use contracts::{OrderId, OwnerFilter, Problem};

use crate::collection::ProviderCalls;
use crate::decisions::{Decisions, text};
use crate::domain::Trigger;
use crate::store::payments;

#[derive(Clone)]
struct Context {
    connections: Connections,
    decisions: Decisions,
    calls: ProviderCalls,
}

pub(crate) fn routes(connections: Connections, decisions: Decisions, calls: ProviderCalls) -> Routes {
    let context = Context { connections, decisions, calls };
    Routes::new(context, [route(Method::POST, "/payments/order/{orderId}/ask-now", ask_now)])
}

/// Answers 202 when it is committed that the step is due now, 409 and why if it can't be. Who asked and why is in the gateways' audit.
async fn ask_now(context: Context, request: Request) -> Result<Response, Problem> {
    let order_id: OrderId = request.id("orderId")?;
    let AskNowRequest { reason } = request.json().await?;
    text("reason", "why the provider is to be asked now", &reason)?;
    if payments::find_of_orders(&context.connections, &OwnerFilter::Any, &[order_id]).await?.is_empty() {
        return Err(Problem::not_found("There is no payment of this order."));
    }
    context.decisions.apply(order_id, Trigger::AskNow).await?;
    let accepted = AskNowAccepted { order_id, is_breaker_open: context.calls.are_held_back() };
    Ok(http::json(StatusCode::ACCEPTED, &accepted))
}
