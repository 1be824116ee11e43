//! One request of a visitor who has signed in.

use std::borrow::Cow;
use std::sync::Arc;

use ::http::{HeaderValue, Method, StatusCode, header};
use chassis::http::{self, Caller, Request, Response};
use chassis::telemetry::TraceContext;
use contracts::api_key::Scope;
use contracts::{OwnerFilter, Problem, ProblemType, Timestamp};
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use tracing::Span;
use url::form_urlencoded::Serializer;

use super::action::{self, Form};
use super::config::Mode;
use super::layout::{self, Section};
use super::session::Session;
use super::{ROOT, sign_in};
use crate::Gateway;
use crate::audit::{self, Attempt};
use crate::bulkhead::Kind;
use crate::upstream::{Asker, Upstream, UpstreamRequest, UpstreamResponse};

/// A request of a visitor who has signed in and may read what operators read.
pub(super) struct Visit {
    pub(super) gateway: Arc<Gateway>,
    pub(super) request: Request,
    pub(super) caller: Caller,
    pub(super) session: Session,
    /// Where the request belongs, if what is read is not to be seen in its trace: a stream may last for hours.
    beside_trace: Option<TraceContext>,
}

impl Visit {
    /// The request's visit; none without a session, or if its key may read that no longer.
    pub(super) fn of(gateway: &Arc<Gateway>, request: &Request) -> Option<Self> {
        let session = gateway.console.session(&request.headers)?;
        let caller = request.caller.clone().filter(|caller| caller.scopes.contains(&Scope::AdminRead))?;
        let (gateway, request) = (Arc::clone(gateway), request.clone());
        Some(Self { gateway, request, caller, session, beside_trace: None })
    }

    /// From now on it reads for a stream.
    pub(super) fn reads_for_a_stream(&mut self) {
        self.beside_trace = Some(TraceContext::of(&Span::current()).unrecorded());
    }

    /// Who asks for what several may ask for.
    pub(super) fn asker(&self) -> Asker<'_> {
        Asker { beside_trace: self.beside_trace.as_ref(), ..Asker::of(&self.request) }
    }

    /// What the page's query has under a name, if it has anything.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        self.request.query_parameter(name).filter(|value| !value.is_empty()).map(Cow::into_owned)
    }

    /// Those parts of the page's query that have one of these names, as a query.
    pub(super) fn passed_on(&self, names: &[&str]) -> String {
        let mut query = Serializer::new(String::new());
        for name in names {
            if let Some(value) = self.given(name) {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }

    /// Whether the console may change anything for this visitor.
    pub(super) fn may_act(&self) -> bool {
        self.gateway.console.mode == Mode::On && self.caller.scopes.contains(&Scope::AdminWrite)
    }

    /// A service by the name in the path.
    pub(super) fn service(&self) -> Result<(&'static str, &Upstream), Problem> {
        match self.request.parameter("service") {
            "order" => Ok(("order", &self.gateway.order)),
            "payment" => Ok(("payment", &self.gateway.payment)),
            _ => Err(Problem::not_found("The services are order and payment.")),
        }
    }

    /// What a service has at a path; none if it has nothing there.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        service: &Upstream,
        template: &'static str,
        path: String,
        kind: Kind,
    ) -> Result<Option<T>, Problem> {
        let get = UpstreamRequest::get(template, path, OwnerFilter::Any, &self.request.correlation_id);
        let beside_trace = self.beside_trace.as_ref();
        let kind = if beside_trace.is_some() { Kind::Stream } else { kind };
        let answer = service.send(&UpstreamRequest { kind, beside_trace, ..get }).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(None) } else { decode(&answer).map(Some) }
    }

    /// A part of a list, and the link to the next one.
    pub(super) async fn read_list<T: DeserializeOwned>(
        &self,
        service: &Upstream,
        template: &'static str,
        path: String,
    ) -> Result<Found<T>, Problem> {
        let get = UpstreamRequest::get(template, path, OwnerFilter::Any, &self.request.correlation_id);
        let answer = service.send(&UpstreamRequest { kind: Kind::Page, ..get }).await?;
        let next = answer.link.as_ref().and_then(|link| link.to_str().ok()).and_then(target);
        Ok(Found { page: decode(&answer)?, next })
    }

    /// As [`read`](Self::read), for what there must be.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        service: &Upstream,
        template: &'static str,
        path: String,
    ) -> Result<T, Problem> {
        let found = self.read(service, template, path, Kind::One).await?;
        found.ok_or_else(|| Problem::not_found("There is no such thing."))
    }

    /// Notes for the audit that this request was answered with a status.
    pub(super) fn note(&self, status: StatusCode) {
        let attempt = Attempt::new(&self.gateway.audit, audit::admin_operation(&self.request));
        attempt.answered(status.as_u16());
    }

    /// The page, or what went wrong with it.
    pub(super) fn answer(&self, section: Section, title: &str, content: Result<Markup, Problem>) -> Response {
        let (status, content) = match content {
            Ok(content) => (StatusCode::OK, content),
            Err(problem) => (status_of(&problem), layout::problem(&problem)),
        };
        self.note(status);
        let page = layout::page(self, section, title, &content);
        self.finish(html_response(status, page))
    }

    /// Carries an action out that a form of this session asks for, if the visitor may act, and goes to the page that it returns.
    pub(super) async fn act(&self, carry_out: impl AsyncFnOnce(Form) -> Result<String, Problem>) -> Response {
        let done = match action::read(self).await {
            Ok(form) => carry_out(form).await,
            Err(problem) => Err(problem),
        };
        match done {
            Ok(page) => go_to(&page),
            Err(problem) => self.refuse(&problem),
        }
    }

    /// An action that was not carried out, and why.
    pub(super) fn refuse(&self, problem: &Problem) -> Response {
        let content = html! {
            (layout::problem(problem))
            p { a href=(self.back()) { "Back" } }
        };
        let page = layout::page(self, Section::None, "Not done", &content);
        self.finish(html_response(status_of(problem), page))
    }

    /// The page that the action belongs to: where its form was.
    fn back(&self) -> &str {
        let referer = self.request.headers.get(header::REFERER).and_then(|value| value.to_str().ok());
        let path = referer.and_then(|url| url.find(ROOT).map(|place| &url[place..]));
        path.unwrap_or(ROOT)
    }

    /// Notes in the cookie that the session was used.
    pub(super) fn finish(&self, mut response: Response) -> Response {
        if self.request.method == Method::GET
            && let Some(used) = self.session.used(Timestamp::now())
            && let Some(cookie) =
                sign_in::set_cookie(&self.gateway.console.sessions, &used, &self.request.headers)
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// A part of a list.
pub(super) struct Found<T> {
    pub(super) page: T,
    /// The query of the next part.
    pub(super) next: Option<String>,
}

/// What a service answered, or its problem.
fn decode<T: DeserializeOwned>(answer: &UpstreamResponse) -> Result<T, Problem> {
    match answer.status {
        StatusCode::OK => serde_json::from_slice(&answer.body).map_err(|_| unreadable()),
        status => Err(serde_json::from_slice(&answer.body).unwrap_or_else(|_| unexpected(status))),
    }
}

/// The target of the only link in a header (RFC 8288).
fn target(link: &str) -> Option<String> {
    let (target, _) = link.strip_prefix('<')?.split_once('>')?;
    Some(target.strip_prefix('?')?.to_owned())
}

fn status_of(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn unreadable() -> Problem {
    Problem::new(ProblemType::UnexpectedAnswer, "A service's answer can't be read.")
}

fn unexpected(status: StatusCode) -> Problem {
    Problem::new(ProblemType::UnexpectedAnswer, format!("A service behind the gateway answered {status}."))
}

/// What a page of the console may do: load its own style and scripts, ask this gateway, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page. It holds what operators see, so no cache keeps it.
pub(super) fn html_response(status: StatusCode, page: Markup) -> Response {
    let mut response = Response::new(page.into_string().into());
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// To another page of the console, after an action or instead of a page.
pub(super) fn go_to(path: &str) -> Response {
    let mut response = http::no_content();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let target = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static(ROOT));
    response.headers_mut().insert(header::LOCATION, target);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
