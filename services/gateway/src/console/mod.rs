//! The operator's console: pages under `/console`, written on the server and readable without JavaScript.
//!
//! ```text
//! GET  → visit (session, by cookie) → a page asks order and payment as the API does → HTML
//!        live                       → the same part of the page again, whenever it has changed (server-sent events)
//! POST → visit → action (role, same origin, form token, reason) → the service → audit → back to the page
//! ```
//!
//! The cookie opens the console alone, never `/api`; and the API's keys open it only by signing in.

mod action;
mod assets;
mod audit;
mod books;
mod config;
mod failed;
mod format;
mod layout;
mod live;
mod order;
mod orders;
mod overview;
mod refunds;
mod replays;
mod search;
mod session;
mod sign_in;
mod sparkline;
mod visit;

use std::net::IpAddr;
use std::sync::Arc;

use ::http::{HeaderMap, Method};
use chassis::http::{Caller, Request, Response, Routes, Unidentified, route};
use contracts::{Problem, Timestamp};
use url::Url;

pub(crate) use config::{ConsoleConfig, ConsoleVariables};

use crate::Gateway;
use crate::access::Access;
use config::{Environment, Mode};
use session::{Session, Sessions};
use sign_in::session_cookie;
use visit::Visit;

/// Where the console is.
const ROOT: &str = "/console";

/// What the console's pages share.
pub(crate) struct Console {
    mode: Mode,
    sessions: Sessions,
    environment: Environment,
    jaeger: Option<Url>,
}

impl Console {
    pub(crate) fn new(config: ConsoleConfig) -> Self {
        let ConsoleConfig { mode, sealing, environment, jaeger } = config;
        Self { mode, sessions: Sessions::new(sealing), environment, jaeger }
    }

    /// Whether a request is one for the console's pages.
    pub(crate) fn has(path: &str) -> bool {
        path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The caller whose session a request is part of.
    pub(crate) fn caller(
        &self,
        access: &Access,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<Caller, Unidentified> {
        let session = self.session(headers);
        let caller =
            session.and_then(|session| access.holder(&session.caller, session.key_id.as_deref(), from));
        caller.ok_or_else(|| Access::stranger(from))
    }

    /// The session of a request's cookie.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        session_cookie(headers).and_then(|cookie| self.sessions.open(cookie, Timestamp::now()))
    }
}

/// The console's pages and actions; none if it is off.
pub(crate) fn routes(gateway: &Arc<Gateway>) -> Routes {
    if gateway.console.mode == Mode::Off {
        return Routes::new((), []);
    }
    let (get, post) = (Method::GET, Method::POST);
    let open = Routes::new(
        Arc::clone(gateway),
        [
            route(Method::GET, "/console/sign-in", sign_in::page),
            route(Method::POST, "/console/sign-in", sign_in::sign_in),
            route(Method::GET, "/console/assets/{name}", assets::asset),
        ],
    );
    let pages = [
        visited(gateway, &get, "/console", overview::page),
        visited(gateway, &get, "/console/live", overview::live),
        visited(gateway, &get, "/console/search", search::page),
        visited(gateway, &get, "/console/orders", orders::page),
        visited(gateway, &get, "/console/orders/{id}", order::page),
        visited(gateway, &get, "/console/orders/{id}/live", order::live),
        visited(gateway, &get, "/console/failed", failed::causes),
        visited(gateway, &get, "/console/failed/live", failed::live),
        visited(gateway, &get, "/console/failed/{service}", failed::list),
        visited(gateway, &get, "/console/failed/{service}/{id}", failed::message),
        visited(gateway, &get, "/console/replays", replays::list),
        visited(gateway, &get, "/console/replays/{service}/new", replays::preview),
        visited(gateway, &get, "/console/replays/{service}/{id}", replays::page),
        visited(gateway, &get, "/console/replays/{service}/{id}/live", replays::live),
        visited(gateway, &get, "/console/refunds", refunds::list),
        visited(gateway, &get, "/console/refunds/{paymentId}", refunds::page),
        visited(gateway, &get, "/console/books", books::page),
        visited(gateway, &get, "/console/audit", audit::page),
    ];
    let actions = [
        visited(gateway, &post, "/console/sign-out", sign_in::sign_out),
        visited(gateway, &post, "/console/orders/{id}/cancel", order::cancel),
        visited(gateway, &post, "/console/orders/{id}/ask-now", order::ask_now),
        visited(gateway, &post, "/console/failed/{service}/{id}/replay", failed::replay),
        visited(gateway, &post, "/console/failed/{service}/{id}/discard", failed::discard),
        visited(gateway, &post, "/console/failed/{service}/{id}/edit", failed::edit),
        visited(gateway, &post, "/console/replays/{service}/new", replays::begin),
        visited(gateway, &post, "/console/replays/{service}/{id}/pause", replays::pause),
        visited(gateway, &post, "/console/replays/{service}/{id}/resume", replays::resume),
        visited(gateway, &post, "/console/replays/{service}/{id}/cancel", replays::cancel),
        visited(gateway, &post, "/console/refunds/{paymentId}/retry", refunds::retry),
        visited(gateway, &post, "/console/refunds/{paymentId}/settle", refunds::settle),
        visited(gateway, &post, "/console/books/pass", books::pass),
    ];
    pages.into_iter().chain(actions).fold(open, Routes::merge)
}

/// What answers a request of a visitor who has signed in.
type Handler<F> = fn(Visit) -> F;

/// A route for those who have signed in. Others are sent to do so.
fn visited<F>(gateway: &Arc<Gateway>, method: &Method, template: &'static str, handler: Handler<F>) -> Routes
where
    F: Future<Output = Response> + Send + 'static,
{
    Routes::new((Arc::clone(gateway), handler), [route(method.clone(), template, enter::<F>)])
}

async fn enter<F: Future<Output = Response>>(
    (gateway, handler): (Arc<Gateway>, Handler<F>),
    request: Request,
) -> Result<Response, Problem> {
    match Visit::of(&gateway, &request) {
        Some(visit) => Ok(handler(visit).await),
        None => Ok(sign_in::needed(&request)),
    }
}
