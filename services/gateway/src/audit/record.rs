//! What the records of requests say.

use chassis::http::{Caller, CorrelationId, Request, Unidentified};
use contracts::OrderId;
use contracts::api_key::{Scope, without_keys};
use contracts::audit_record::{AuditRecord, RecordedAction};
use contracts::topology::Service;
use http::Method;
use serde::Deserialize;
use uuid::Uuid;

/// A request of an unknown caller.
pub(crate) fn authentication_failed(
    unidentified: &Unidentified,
    correlation_id: &CorrelationId,
) -> AuditRecord {
    let Unidentified { problem, reason, name, key_id, address } = unidentified;
    AuditRecord {
        actor: name.as_ref().map(|name| name.as_str().to_owned()),
        key_id: key_id.as_deref().map(str::to_owned),
        address: Some(address.to_string()),
        correlation_id: Some(without_keys(&correlation_id.0)),
        outcome: Some(problem.status),
        ..AuditRecord::now(RecordedAction::AuthenticationFailed).because(reason)
    }
}

/// A request for more than the caller's key allows.
pub(crate) fn authorization_denied(request: &Request, missing: Scope) -> AuditRecord {
    let subject = Some(format!("{} {}", request.method, request.template));
    let record = of_request(RecordedAction::AuthorizationDenied, request);
    AuditRecord { subject, outcome: Some(403), ..record }.because(&format!("lacks the scope {missing}"))
}

/// The cancellation of an order.
pub(crate) fn cancellation(request: &Request, order_id: OrderId) -> AuditRecord {
    let subject = Some(order_id.to_string());
    AuditRecord { subject, ..of_request(RecordedAction::CancellationRequested, request) }
}

/// What an operator looks at or decides.
pub(crate) fn admin_operation(request: &Request) -> AuditRecord {
    let reads = request.method == Method::GET || is_preview(request.template);
    let action = if reads { RecordedAction::AdminRead } else { RecordedAction::AdminWrite };
    let path = path(request.template, |name| request.parameter(name));
    AuditRecord { subject: Some(format!("{} {path}", request.method)), ..of_request(action, request) }
}

/// Whether a route only tells what another one would do.
fn is_preview(template: &str) -> bool {
    template.ends_with("/preview")
}

/// Why an operator decides so, as the body of the request says.
pub(crate) fn reason_in(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Decision {
        #[serde(alias = "note")]
        reason: String,
    }
    serde_json::from_slice::<Decision>(body).ok().map(|decision| decision.reason)
}

/// A session of the console that began or ended.
pub(crate) fn console_session(
    action: RecordedAction,
    caller: &Caller,
    correlation_id: &CorrelationId,
) -> AuditRecord {
    of_caller(action, Some(caller), correlation_id)
}

/// A key that was presented to the console and may not read what operators read.
pub(crate) fn console_refused(caller: &Caller, correlation_id: &CorrelationId) -> AuditRecord {
    let record = of_caller(RecordedAction::AuthorizationDenied, Some(caller), correlation_id);
    let subject = Some("POST /console/sign-in".to_owned());
    let missing = format!("lacks the scope {}", Scope::AdminRead);
    AuditRecord { subject, outcome: Some(403), ..record }.because(&missing)
}

fn of_request(action: RecordedAction, request: &Request) -> AuditRecord {
    of_caller(action, request.caller.as_ref(), &request.correlation_id)
}

fn of_caller(action: RecordedAction, caller: Option<&Caller>, correlation_id: &CorrelationId) -> AuditRecord {
    AuditRecord {
        actor: caller.map(|caller| caller.name.as_str().to_owned()),
        key_id: caller.and_then(|caller| caller.key_id.as_deref()).map(str::to_owned),
        address: caller.map(|caller| caller.address.to_string()),
        correlation_id: Some(without_keys(&correlation_id.0)),
        ..AuditRecord::now(action)
    }
}

/// The template with what stands in its places, where that is an id or a service: a client could write anything else there, its
/// key included.
fn path<'a>(template: &str, parameter: impl Fn(&str) -> &'a str) -> String {
    let segments = template.split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(value) = name.map(&parameter) else { return segment.to_owned() };
        let is_service = Service::WITH_DATABASE.iter().any(|service| service.name() == value);
        match Uuid::parse_str(value) {
            Ok(id) => id.to_string(),
            Err(_) if is_service => value.to_owned(),
            Err(_) => segment.to_owned(),
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_holds_ids_and_services_and_nothing_else_that_a_client_wrote() {
        let id = "0198c0de-0000-7000-8000-000000000001";
        let template = "/api/admin/{service}/failed-messages/{id}";
        for (service, given, expected) in [
            ("order", id, format!("/api/admin/order/failed-messages/{id}")),
            ("psk_live_1", "psk_live_2", template.to_owned()),
        ] {
            let found = path(template, |name| if name == "id" { given } else { service });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_reason_is_found_under_either_name() {
        assert_eq!(reason_in(br#"{"reason":"a duplicate"}"#).as_deref(), Some("a duplicate"));
        let settled = br#"{"reference":"T-1","note":"by bank"}"#;
        assert_eq!(reason_in(settled).as_deref(), Some("by bank"));
        assert_eq!(reason_in(b"{}"), None);
        assert_eq!(reason_in(b""), None);
    }
}
