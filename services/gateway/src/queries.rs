//! Queries: asked of the service that owns the answer, at the same path without `/api`, and passed on as it gave it.

use std::sync::Arc;

use ::http::{HeaderValue, StatusCode, header};
use chassis::http::{self, ReadyResponse, Request, Response};
use contracts::feed::FeedRequest;
use contracts::list::{List, OrderList, PaymentList};
use contracts::page::CursorRequest;
use contracts::{EventId, Problem, ProblemType};

use crate::bulkhead::Kind;
use crate::upstream::{Upstream, UpstreamRequest, UpstreamResponse};
use crate::{Gateway, access, etag, streams};

/// A page of what the order service has.
pub(crate) async fn order_list(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    list::<OrderList>(&gateway.order, &request).await
}

/// A page of an order's timeline, or a stream of it.
pub(crate) async fn order_events(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    if streams::is_wanted(&request.headers) {
        return streams::steps_of_order(gateway, &request).await;
    }
    let template = service_template(&request);
    let CursorRequest { after, limit } = request.cursor::<EventId>();
    let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
    let path = format!("{}?limit={limit}{after}", request.fill(template)?);
    Ok(ask(&gateway.order, template, path, &request).await?.map(Into::into))
}

/// A page of the steps of all orders, or a stream of them.
pub(crate) async fn all_events(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    if streams::is_wanted(&request.headers) {
        return streams::all_steps(gateway, &request).await;
    }
    let wanted = FeedRequest::from_query(|name| request.query_parameter(name)).map_err(Problem::invalid)?;
    let (template, within) = (service_template(&request), access::may_read(&request)?);
    let path = format!("{template}{wanted}");
    let asked = UpstreamRequest::get(template, path, within, &request.correlation_id);
    let answer = gateway.order.send(&UpstreamRequest { kind: Kind::Page, ..asked }).await?;
    match answer.status {
        StatusCode::GONE => Err(streams::restored()),
        _ => Ok(pass_on(answer)?.map(Into::into)),
    }
}

/// One thing that the order service has.
pub(crate) async fn order_resource(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    resource(&gateway.order, &request).await
}

/// A page of what the payment service has.
pub(crate) async fn payment_list(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    list::<PaymentList>(&gateway.payment, &request).await
}

/// One thing that the payment service has.
pub(crate) async fn payment_resource(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    resource(&gateway.payment, &request).await
}

async fn list<L: List>(service: &Upstream, request: &Request) -> Result<Response, Problem> {
    let template = service_template(request);
    let asked = request.list::<L>()?;
    let within = access::may_read(request)?;
    let path = format!("{template}?{asked}");
    let get = UpstreamRequest::get(template, path, within, &request.correlation_id);
    let answer = service.send(&UpstreamRequest { kind: Kind::Page, ..get }).await?;
    // All else was checked here.
    if answer.status == StatusCode::BAD_REQUEST {
        return Err(http::invalid_cursor());
    }
    let is_heeded = answer.is_list_heeded || asked.is_plain();
    let answer = pass_on(answer)?;
    if !is_heeded {
        let detail = "The service behind the gateway does not know filters or `sort`. Without them its list can be read.";
        return Err(Problem::new(ProblemType::UnexpectedAnswer, detail));
    }
    // Where a client looks again and again for what is new.
    Ok(if asked.is_first() { etag::validated(&request.headers, answer) } else { answer.map(Into::into) })
}

async fn resource(service: &Upstream, request: &Request) -> Result<Response, Problem> {
    let template = service_template(request);
    let path = request.fill(template)?;
    let answer = ask(service, template, path, request).await?;
    Ok(etag::validated(&request.headers, answer))
}

/// Asks for one thing, if it is the caller's.
async fn ask(
    service: &Upstream,
    template: &'static str,
    path: String,
    request: &Request,
) -> Result<ReadyResponse, Problem> {
    let within = access::may_read(request)?;
    pass_on(service.send(&UpstreamRequest::get(template, path, within, &request.correlation_id)).await?)
}

/// The template of the service's own route.
fn service_template(request: &Request) -> &'static str {
    request.template.strip_prefix("/api").unwrap_or(request.template)
}

/// The response that the client gets: what was found, byte for byte, or a problem in the gateway's own words.
fn pass_on(upstream: UpstreamResponse) -> Result<ReadyResponse, Problem> {
    match upstream.status {
        StatusCode::OK => {
            let mut response = ReadyResponse::new(upstream.body);
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            if let Some(link) = upstream.link {
                response.headers_mut().insert(header::LINK, link);
            }
            Ok(response)
        }
        StatusCode::NOT_FOUND => Err(Problem::not_found("There is no such thing.")),
        status => Err(Problem::new(
            ProblemType::UnexpectedAnswer,
            format!("A service behind the gateway answered {status}."),
        )),
    }
}
