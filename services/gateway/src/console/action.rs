//! Actions: what a form of the console asks for, and that it may.

use std::collections::BTreeMap;

use ::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use chassis::http::Request;
use contracts::api_key::Scope;
use contracts::audit_record::AuditRecord;
use contracts::problem::InvalidMember;
use contracts::{OwnerFilter, Problem, ProblemType};
use serde::Serialize;

use super::config::Mode;
use super::visit::Visit;
use crate::audit::{self, Attempt};
use crate::bulkhead::Kind;
use crate::upstream::{Upstream, UpstreamRequest, UpstreamResponse};

/// What was written into a form.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) async fn of(request: &Request) -> Result<Self, Problem> {
        let body = request.body.read().await?;
        Ok(Self(url::form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// What a field holds, without spaces around it; empty if there is no such field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// What a field holds, if it holds anything.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// What a field holds, which must be there.
    pub(super) fn required(&self, name: &str, rule: &str) -> Result<&str, Problem> {
        self.given(name).ok_or_else(|| Problem::invalid(vec![InvalidMember::new(name, rule)]))
    }

    /// Why it is done.
    pub(super) fn reason(&self) -> Result<&str, Problem> {
        let reason = self.required("reason", "must say why")?;
        if reason.chars().count() > AuditRecord::MAX_REASON {
            let rule = format!("must have at most {} characters", AuditRecord::MAX_REASON);
            return Err(Problem::invalid(vec![InvalidMember::new("reason", rule)]));
        }
        Ok(reason)
    }
}

/// Whether a form was sent by a page of this site, as browsers tell (<https://www.w3.org/TR/fetch-metadata/>).
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let host = text(header::HOST.as_str());
    let origin = text(header::ORIGIN.as_str()).and_then(|origin| origin.split_once("://"));
    origin.is_some() && origin.map(|(_, origin)| origin) == host
}

/// The form of a visitor who changes nothing but their own session.
pub(super) async fn read_own(visit: &Visit) -> Result<Form, Problem> {
    let form = Form::of(&visit.request).await?;
    let console = &visit.gateway.console;
    if is_same_origin(&visit.request.headers)
        && console.sessions.is_form_of(&visit.session, form.text("token"))
    {
        return Ok(form);
    }
    Err(Problem::new(
        ProblemType::OriginNotAllowed,
        "This form is not one of your session's. Open the page again and repeat it.",
    ))
}

/// The form of a visitor who may act: an operator's, in a console that may change something, with a reason.
pub(super) async fn read(visit: &Visit) -> Result<Form, Problem> {
    if !visit.caller.scopes.contains(&Scope::AdminWrite) {
        visit.gateway.audit.record(audit::authorization_denied(&visit.request, Scope::AdminWrite));
        return Err(Problem::new(
            ProblemType::InsufficientScope,
            "You signed in as a viewer. An action needs a key with the scope admin:write.",
        ));
    }
    let read = async {
        if visit.gateway.console.mode != Mode::On {
            return Err(Problem::new(ProblemType::InsufficientScope, "This console is read-only (CONSOLE)."));
        }
        let form = read_own(visit).await?;
        form.reason()?;
        Ok(form)
    };
    // What goes on from here is recorded with its reason and its outcome.
    read.await.inspect_err(|problem: &Problem| {
        let refused = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        visit.note(refused);
    })
}

/// What an action asks of a service.
pub(super) struct Change<'a, B> {
    pub(super) service: &'a Upstream,
    pub(super) method: Method,
    pub(super) template: &'static str,
    pub(super) path: String,
    pub(super) body: &'a B,
}

impl Visit {
    /// Has a service change something, which is in the audit with the reason and what came of it.
    pub(super) async fn change<B: Serialize>(
        &self,
        reason: &str,
        change: Change<'_, B>,
    ) -> Result<UpstreamResponse, Problem> {
        let mut attempt = Attempt::new(&self.gateway.audit, audit::admin_operation(&self.request));
        attempt.because(reason);
        let changed = self.send(change).await;
        attempt.answered(match &changed {
            Ok(answer) => answer.status.as_u16(),
            Err(problem) => problem.status,
        });
        changed
    }

    /// Asks a service for what changes nothing and needs a body.
    pub(super) async fn ask<B: Serialize>(&self, change: Change<'_, B>) -> Result<UpstreamResponse, Problem> {
        self.send(change).await
    }

    async fn send<B: Serialize>(&self, change: Change<'_, B>) -> Result<UpstreamResponse, Problem> {
        let Change { service, method, template, path, body } = change;
        let body = serde_json::to_vec(body)
            .map_err(|_| Problem::new(ProblemType::InternalError, "The request could not be handled."))?;
        let get = UpstreamRequest::get(template, path, OwnerFilter::Any, &self.request.correlation_id);
        let request = UpstreamRequest {
            method,
            kind: Kind::Change,
            body: Bytes::from(body),
            actor: Some(self.caller.name.as_str()),
            ..get
        };
        let answer = service.send(&request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(serde_json::from_slice(&answer.body).unwrap_or_else(|_| refused(answer.status)))
    }
}

fn refused(status: StatusCode) -> Problem {
    Problem::new(ProblemType::UnexpectedAnswer, format!("A service behind the gateway answered {status}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_by_what_the_browser_says() {
        for (pairs, is_same) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://paysaga.example")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "https://paysaga.example")], true),
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "null")], false),
            (vec![], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "paysaga.example".parse().unwrap());
            for (name, value) in &pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_same_origin(&headers), is_same, "{pairs:?}");
        }
    }
}
