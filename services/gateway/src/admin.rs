//! What operators ask of the services behind the gateway.

use std::sync::Arc;

use ::http::{HeaderValue, Method, StatusCode, header};
use chassis::http::{Request, Response};
use contracts::{OwnerFilter, Problem, ProblemType};

use crate::audit::{self, Attempt};
use crate::bulkhead::Kind;
use crate::upstream::{Upstream, UpstreamRequest, UpstreamResponse};
use crate::{Gateway, access};

/// Passes a request about failed messages or replays on to the service that has them.
pub(crate) async fn failed_messages(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let service = match request.parameter("service") {
        "order" => &gateway.order,
        "payment" => &gateway.payment,
        _ => return Err(Problem::not_found("The services with failed messages are order and payment.")),
    };
    forward(&gateway, service, &request, without("/api/admin/{service}", &request)).await
}

/// Passes a request about refunds on to the payment service.
pub(crate) async fn refunds(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    forward(&gateway, &gateway.payment, &request, without("/api/admin/payment", &request)).await
}

/// Has the payment service ask the provider now.
pub(crate) async fn ask_now(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    forward(&gateway, &gateway.payment, &request, "/payments/order/{orderId}/ask-now").await
}

/// Reads the audit, which the order service has.
pub(crate) async fn audit(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    forward(&gateway, &gateway.order, &request, "/audit-records").await
}

/// The template of a service's route that is the gateway's without this.
fn without(prefix: &str, request: &Request) -> &'static str {
    request.template.strip_prefix(prefix).unwrap_or(request.template)
}

/// Passes a request on to a service's route with this template, and records what came of it.
pub(crate) async fn forward(
    gateway: &Gateway,
    service: &Upstream,
    request: &Request,
    template: &'static str,
) -> Result<Response, Problem> {
    let mut attempt = Attempt::new(&gateway.audit, audit::admin_operation(request));
    if request.method != Method::GET
        && let Ok(body) = request.body.read().await
        && let Some(reason) = audit::reason_in(&body)
    {
        attempt.because(&reason);
    }
    let answer = ask(service, request, template).await;
    attempt.answered(answer.as_ref().map_or_else(|problem| problem.status, |found| found.status().as_u16()));
    answer
}

async fn ask(service: &Upstream, request: &Request, template: &'static str) -> Result<Response, Problem> {
    let mut path = request.fill(template)?;
    if !request.query.is_empty() {
        path = format!("{path}?{}", request.query);
    }
    let mut forwarded = UpstreamRequest::get(template, path, OwnerFilter::Any, &request.correlation_id);
    if request.method != Method::GET {
        forwarded.method = request.method.clone();
        forwarded.kind = Kind::Change;
        forwarded.body = request.body.read().await?;
        forwarded.actor = Some(access::caller(request)?.name.as_str());
    }
    pass_on(service.send(&forwarded).await?)
}

/// The response that the operator gets: what the service found or did, or the problem that it answered with.
fn pass_on(response: UpstreamResponse) -> Result<Response, Problem> {
    let UpstreamResponse { status, content_type, link, body, .. } = response;
    let known = [
        StatusCode::OK,
        StatusCode::CREATED,
        StatusCode::ACCEPTED,
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if !known.contains(&status) {
        return Err(Problem::new(
            ProblemType::UnexpectedAnswer,
            format!("A service behind the gateway answered {status}."),
        ));
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.unwrap_or(json));
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}
