//! Queries: asked of the service that owns the answer, at the same path without `/api`, and passed on as it gave it.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use ::http::{HeaderValue, StatusCode, header};
use chassis::http::{self, Request, Response};
use contracts::feed::FeedRequest;
use contracts::page::{CursorRequest, ListRequest};
use contracts::{EventId, OrderId, PaymentId, Problem};

use crate::bulkhead::Kind;
use crate::upstream::{Upstream, UpstreamRequest, UpstreamResponse};
use crate::{Gateway, access, streams};

/// A page of what the order service has.
pub(crate) async fn order_list(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    list::<OrderId>(&gateway.order, &request).await
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
    ask(&gateway.order, template, path, &request).await
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
        _ => pass_on(answer),
    }
}

/// One thing that the order service has.
pub(crate) async fn order_resource(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    resource(&gateway.order, &request).await
}

/// A page of what the payment service has.
pub(crate) async fn payment_list(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    list::<PaymentId>(&gateway.payment, &request).await
}

/// One thing that the payment service has.
pub(crate) async fn payment_resource(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    resource(&gateway.payment, &request).await
}

async fn list<Id: FromStr + Display>(service: &Upstream, request: &Request) -> Result<Response, Problem> {
    let template = service_template(request);
    let path = match request.list::<Id>()? {
        ListRequest::Page(page) => format!("{template}?page={}&limit={}", page.page(), page.limit()),
        ListRequest::Behind(cursor, limit) => format!("{template}?cursor={cursor}&limit={limit}"),
    };
    let within = access::may_read(request)?;
    let asked = UpstreamRequest::get(template, path, within, &request.correlation_id);
    let answer = service.send(&UpstreamRequest { kind: Kind::Page, ..asked }).await?;
    // All else was checked here.
    if answer.status == StatusCode::BAD_REQUEST {
        return Err(http::invalid_cursor());
    }
    pass_on(answer)
}

async fn resource(service: &Upstream, request: &Request) -> Result<Response, Problem> {
    let template = service_template(request);
    let path = request.fill(template)?;
    ask(service, template, path, request).await
}

/// Asks for one thing, if it is the caller's.
async fn ask(
    service: &Upstream,
    template: &'static str,
    path: String,
    request: &Request,
) -> Result<Response, Problem> {
    let within = access::may_read(request)?;
    pass_on(service.send(&UpstreamRequest::get(template, path, within, &request.correlation_id)).await?)
}

/// The template of the service's own route.
fn service_template(request: &Request) -> &'static str {
    request.template.strip_prefix("/api").unwrap_or(request.template)
}

/// The response that the client gets: what was found, byte for byte, or a problem in the gateway's own words.
fn pass_on(upstream: UpstreamResponse) -> Result<Response, Problem> {
    match upstream.status {
        StatusCode::OK => {
            let mut response = Response::new(upstream.body.into());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            if let Some(link) = upstream.link {
                response.headers_mut().insert(header::LINK, link);
            }
            Ok(response)
        }
        StatusCode::NOT_FOUND => Err(Problem::not_found("There is no such thing.")),
        status => Err(Problem::new(502, format!("A service behind the gateway answered {status}."))),
    }
}
