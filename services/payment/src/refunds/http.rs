//! The HTTP routes about refunds. Only the gateway calls them, for operators.

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::http::{self, Request, Response, Routes, route};
use contracts::problem::InvalidMember;
use contracts::refund::{RefundDetails, RefundStatus, RetryRequest, SettleRequest};
use contracts::{PaymentId, Problem, Word};

use crate::decisions::{Decisions, text};
use crate::domain::{Decision, Trigger};
use crate::store::{refund_audit, refunds};

#[derive(Clone)]
struct Context {
    connections: Connections,
    decisions: Decisions,
}

/// List refunds that are owed, look at one, and decide about one that the provider refused.
pub(crate) fn routes(connections: Connections, decisions: Decisions) -> Routes {
    Routes::new(
        Context { connections, decisions },
        [
            route(Method::GET, "/refunds", list),
            route(Method::GET, "/refunds/{paymentId}", find),
            route(Method::POST, "/refunds/{paymentId}/retry", retry),
            route(Method::POST, "/refunds/{paymentId}/settle", settle),
        ],
    )
}

async fn list(context: Context, request: Request) -> Result<Response, Problem> {
    let status = read_status(&request)?;
    let page = refunds::list(&context.connections, status, request.page()).await?;
    Ok(http::json(StatusCode::OK, &page))
}

async fn find(context: Context, request: Request) -> Result<Response, Problem> {
    http::found(details(&context.connections, request.id("paymentId")?).await?)
}

async fn retry(context: Context, request: Request) -> Result<Response, Problem> {
    let RetryRequest { note } = request.json().await?;
    let note = text("note", "why the provider should answer otherwise now", &note)?;
    let trigger = Trigger::RetryRefund(Decision { actor: request.actor().to_owned(), note });
    decide(context, &request, trigger).await
}

async fn settle(context: Context, request: Request) -> Result<Response, Problem> {
    let SettleRequest { reference, note } = request.json().await?;
    let reference = text("reference", "what names the transfer by which the money went back", &reference)?;
    let note = text("note", "how and why the money went back so", &note)?;
    let decision = Decision { actor: request.actor().to_owned(), note };
    decide(context, &request, Trigger::SettleRefund { decision, reference }).await
}

/// Carries a decision out, and answers with the refund as it is then.
async fn decide(context: Context, request: &Request, trigger: Trigger) -> Result<Response, Problem> {
    let id = request.id("paymentId")?;
    let Some(refund) = refunds::find(&context.connections, id).await? else {
        return Err(Problem::not_found("There is no such refund."));
    };
    context.decisions.apply(refund.order_id, trigger).await?;
    http::found(details(&context.connections, id).await?)
}

async fn details(
    connections: &Connections,
    id: PaymentId,
) -> Result<Option<RefundDetails<Word, Word>>, Problem> {
    let Some(refund) = refunds::find(connections, id).await? else { return Ok(None) };
    Ok(Some(RefundDetails { refund, audit: refund_audit::of_payment(connections.pool(), id).await? }))
}

/// `status` of the query string.
fn read_status(request: &Request) -> Result<Option<RefundStatus>, Problem> {
    let mut status = None;
    for (name, value) in request.query_pairs().filter(|(_, value)| !value.is_empty()) {
        let wrong = |rule| Err(Problem::invalid(vec![InvalidMember::new(&*name, rule)]));
        match (&*name, value.parse()) {
            ("status", Ok(found @ (RefundStatus::Open | RefundStatus::Refused))) => status = Some(found),
            ("status", _) => return wrong("must be OPEN or REFUSED"),
            ("page" | "limit", _) => {}
            _ => return wrong("is not a known filter; known are: status, page, limit"),
        }
    }
    Ok(status)
}
