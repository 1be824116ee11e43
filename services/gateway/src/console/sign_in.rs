//! Signing in with an API key, and out again.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use chassis::http::{Caller, Request, Response, problem};
use contracts::api_key::Scope;
use contracts::audit_record::RecordedAction;
use contracts::{Problem, ProblemType, Timestamp};
use maud::html;

use super::action::{self, Form};
use super::session::{LIFETIME, Session, Sessions};
use super::visit::{Visit, go_to, html_response};
use super::{ROOT, layout};
use crate::Gateway;
use crate::access::Access;
use crate::audit::{self, Attempt};

/// The cookie's name where a browser sends it over TLS alone.
const SECURE: &str = "__Secure-paysaga-console";

/// The cookie's name on a loopback address, where there need not be TLS.
const ON_LOOPBACK: &str = "paysaga-console";

/// `GET /console/sign-in`
pub(super) async fn page(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    // Without authentication there is nothing to present; the session is for the forms' tokens.
    if let Access::Open(caller) = &*gateway.access {
        return Ok(begin(&gateway, caller, &request, next(&request).as_deref()));
    }
    Ok(form(&gateway, &request, StatusCode::OK, None))
}

/// `POST /console/sign-in`
pub(super) async fn sign_in(gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    if !action::is_same_origin(&request.headers) {
        return Ok(form(
            &gateway,
            &request,
            StatusCode::FORBIDDEN,
            Some("This form came from another site."),
        ));
    }
    let found = match Form::of(&request).await {
        Ok(found) => found,
        Err(problem) => return Ok(form(&gateway, &request, StatusCode::BAD_REQUEST, Some(&problem.detail))),
    };
    // The server asks who sends each request, so it knows where each comes from.
    let from = request.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    match gateway.access.presented(found.text("key"), from) {
        Ok(caller) if caller.scopes.contains(&Scope::AdminRead) => {
            Ok(begin(&gateway, &caller, &request, found.given("next")))
        }
        Ok(caller) => {
            gateway.audit.record(audit::console_refused(&caller, &request.correlation_id));
            let why = "This key may not read what operators read: it lacks the scope admin:read.";
            Ok(form(&gateway, &request, StatusCode::FORBIDDEN, Some(why)))
        }
        Err(unidentified) => {
            gateway.audit.record(audit::authentication_failed(&unidentified, &request.correlation_id));
            let status =
                StatusCode::from_u16(unidentified.problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
            let why = format!("This is {}.", unidentified.reason);
            Ok(form(&gateway, &request, status, Some(&why)))
        }
    }
}

/// `POST /console/sign-out`
pub(super) async fn sign_out(visit: Visit) -> Response {
    if let Err(problem) = action::read_own(&visit).await {
        return visit.refuse(&problem);
    }
    let Visit { gateway, request, caller, session, .. } = &visit;
    gateway.console.sessions.end(session, Timestamp::now());
    let action = RecordedAction::ConsoleSignedOut;
    gateway.audit.record(audit::console_session(action, caller, &request.correlation_id));
    let mut response = go_to("/console/sign-in");
    for cookie in [
        "__Secure-paysaga-console=; Path=/console; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "paysaga-console=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict",
    ] {
        response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(cookie));
    }
    response
}

/// The answer to a request without a session: to the page for signing in; a stream can't follow there, and is told so.
pub(super) fn needed(request: &Request) -> Response {
    if request.template.ends_with("/live") {
        return problem(&Problem::new(ProblemType::Unauthenticated, "The session is over. Sign in again."));
    }
    let target = if request.method == ::http::Method::GET { here(request) } else { ROOT.to_owned() };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", &target);
    go_to(&format!("/console/sign-in?{}", query.finish()))
}

/// The page that a request asks for, with its query.
fn here(request: &Request) -> String {
    let path = request.path();
    if request.query.is_empty() { path } else { format!("{path}?{}", request.query) }
}

/// Begins a session, and goes to the page that was asked for.
fn begin(gateway: &Gateway, caller: &Caller, request: &Request, next: Option<&str>) -> Response {
    let key_id = caller.key_id.as_deref().map(str::to_owned);
    let session = Session::new(caller.name.clone(), key_id, Timestamp::now());
    let mut attempt = Attempt::new(
        &gateway.audit,
        audit::console_session(RecordedAction::ConsoleSignedIn, caller, &request.correlation_id),
    );
    let can_act = caller.scopes.contains(&Scope::AdminWrite);
    attempt.because(if can_act { "as operator" } else { "as viewer" });
    attempt.answered(StatusCode::SEE_OTHER.as_u16());
    let next = next.filter(|path| super::Console::has(path)).unwrap_or(ROOT);
    let mut response = go_to(next);
    if let Some(cookie) = set_cookie(&gateway.console.sessions, &session, &request.headers) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The header that gives a browser its session.
pub(super) fn set_cookie(sessions: &Sessions, session: &Session, headers: &HeaderMap) -> Option<HeaderValue> {
    let (name, secure) = if is_loopback(headers) { (ON_LOOPBACK, "") } else { (SECURE, " Secure;") };
    let (sealed, age) = (sessions.seal(session)?, LIFETIME.as_secs());
    let cookie = format!("{name}={sealed}; Path=/console; Max-Age={age};{secure} HttpOnly; SameSite=Strict");
    HeaderValue::try_from(cookie).ok()
}

/// The session in a request's cookies.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let wanted = if is_loopback(headers) { ON_LOOPBACK } else { SECURE };
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Whether the browser knows this gateway by an address of its own machine. It keeps a cookie for TLS alone everywhere else, so
/// that it can't be read on its way.
fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The page to go to afterwards.
fn next(request: &Request) -> Option<String> {
    request.query_parameter("next").map(std::borrow::Cow::into_owned)
}

fn form(gateway: &Gateway, request: &Request, status: StatusCode, wrong: Option<&str>) -> Response {
    let content = html! {
        h1 { "Sign in" }
        @if let Some(wrong) = wrong {
            p.problem role="alert" { (wrong) }
        }
        form.stacked method="post" action="/console/sign-in" {
            label for="key" { "API key" }
            input #key name="key" type="password" autocomplete="current-password" required autofocus;
            p.hint {
                "A key with " code { "admin:read" } " shows everything; one with " code { "admin:write" }
                " may act as well. " code { "paysaga key" } " makes both."
            }
            @if let Some(next) = next(request) {
                input type="hidden" name="next" value=(next);
            }
            button.primary { "Sign in" }
        }
    };
    html_response(status, layout::outside(&gateway.console, "Sign in", &content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_loopback_address_goes_without_tls() {
        for (host, is_own) in [
            ("127.0.0.1:3000", true),
            ("localhost:3000", true),
            ("localhost", true),
            ("[::1]:3000", true),
            ("shop.localhost", true),
            ("paysaga.example", false),
            ("localhost.example:3000", false),
            ("10.0.0.1:3000", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(&headers(&[(header::HOST, host)])), is_own, "{host}");
        }
    }

    #[test]
    fn the_cookie_is_for_the_console_and_no_script_reads_it() {
        let sessions = Sessions::new(super::super::session::Sealing::with(b"a secret"));
        let session = Session::new("ops".parse().unwrap(), None, Timestamp::now());
        for (host, name, is_secure) in
            [("127.0.0.1:3000", ON_LOOPBACK, false), ("paysaga.example", SECURE, true)]
        {
            let host = headers(&[(header::HOST, host)]);
            let set = set_cookie(&sessions, &session, &host).unwrap();
            let set = set.to_str().unwrap();
            assert!(set.starts_with(&format!("{name}=")) && set.contains("; Path=/console;"), "{set}");
            assert!(
                set.ends_with("HttpOnly; SameSite=Strict") && set.contains("Secure;") == is_secure,
                "{set}"
            );
            let mut next = host.clone();
            next.insert(header::COOKIE, format!("a=b; {}", set.split(';').next().unwrap()).parse().unwrap());
            let opened = sessions.open(session_cookie(&next).unwrap(), Timestamp::now());
            assert_eq!(opened.as_ref(), Some(&session));
        }
    }
}
