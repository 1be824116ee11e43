//! What operators ask of the services behind the gateway.

use std::sync::Arc;

use ::http::{HeaderValue, Method, StatusCode, header};
use chassis::http::{Request, Response};
use contracts::Problem;

use crate::upstream::{Answer, Change, Query};
use crate::{Gateway, access};

/// Passes a request about failed messages on to the service that has them.
pub(crate) async fn failed_messages(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let service = match request.parameter("service") {
        "order" => &gateway.order,
        "payment" => &gateway.payment,
        _ => return Err(Problem::not_found("The services with failed messages are order and payment.")),
    };
    let template = request.template.strip_prefix("/api/admin/{service}").unwrap_or(request.template);
    let mut path = request.fill(template)?;
    if !request.query.is_empty() {
        path = format!("{path}?{}", request.query);
    }
    let query = Query { path: &path, template: "/failed-messages", correlation_id: &request.correlation_id };
    let answer = match request.method.clone() {
        Method::GET => service.get(query).await?,
        method => {
            let actor = Some(&*access::caller(&request)?.name);
            service.change(query, Change { method, body: request.body.clone(), actor }).await?
        }
    };
    pass_on(answer)
}

/// The service's answer: what it found or did, or its problem, which is one of ours.
fn pass_on(answer: Answer) -> Result<Response, Problem> {
    let Answer { status, content_type, body } = answer;
    let known = [
        StatusCode::OK,
        StatusCode::ACCEPTED,
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
    ];
    if !known.contains(&status) {
        return Err(Problem::new(502, format!("A service behind the gateway answered {status}.")));
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.unwrap_or(json));
    Ok(response)
}
