//! The routes that a service answers.
//!
//! Each route is declared once, by [`route`]. warp's filters, built from the templates, do the routing; the list of
//! methods and templates gives what filters can't: the name of a span, the label of a metric, and the difference between
//! 404 and 405 with its `Allow` header.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use contracts::Problem;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::request::parameter_name;
use super::{Request, reply};

type Handler = Arc<dyn Fn(Request) -> Answer + Send + Sync>;
type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// A route whose handler still needs its state.
pub struct Route<S> {
    method: Method,
    template: &'static str,
    with_state: Box<dyn FnOnce(S) -> Handler>,
}

impl<S> Route<S> {
    /// Its method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, with names in braces for what can be anything.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        self.template
    }
}

/// Declares that `handler` answers requests with this method on paths such as `/orders/{id}`.
pub fn route<S, F>(method: Method, template: &'static str, handler: fn(S, Request) -> F) -> Route<S>
where
    S: Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    let with_state =
        move |state: S| -> Handler { Arc::new(move |request| Box::pin(handler(state.clone(), request))) };
    Route { method, template, with_state: Box::new(with_state) }
}

/// The routes of a service. Where several fit a request, the first one takes it.
pub struct Routes(Vec<Entry>);

struct Entry {
    method: Method,
    template: &'static str,
    handler: Handler,
}

impl Routes {
    /// Routes whose handlers get a clone of `state` with each request.
    pub fn new<S: Clone>(state: S, routes: impl IntoIterator<Item = Route<S>>) -> Self {
        let bind = |Route { method, template, with_state }| {
            let handler = with_state(state.clone());
            Entry { method, template, handler }
        };
        Self(routes.into_iter().map(bind).collect())
    }

    /// These routes and the others.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The templates of their paths.
    pub fn templates(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|entry| entry.template)
    }

    /// Lets `check` decide about each request before its handler gets it.
    #[must_use]
    pub fn require(
        mut self,
        check: impl Fn(&Request) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Self {
        let check = Arc::new(check);
        for Entry { handler, .. } in &mut self.0 {
            let (check, checked) = (Arc::clone(&check), Arc::clone(handler));
            *handler = Arc::new(move |request| match check(&request) {
                Ok(()) => checked(request),
                Err(problem) => Box::pin(std::future::ready(Err(problem))),
            });
        }
        self
    }

    /// Which route a request is for. `HEAD` is answered wherever `GET` is (RFC 9110 §9.3.2).
    pub(super) fn find(&self, method: &Method, path: &str) -> Matched {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        for entry in self.0.iter().filter(|entry| entry.matches(path)) {
            if entry.method == method {
                return Matched::Route(entry.template);
            }
            allowed.push(&entry.method);
        }
        if allowed.is_empty() { Matched::Unknown } else { Matched::WrongMethod(with_implied(&allowed)) }
    }

    /// Answers every request: with a route's handler, or with 404 or 405.
    pub(super) fn filter(&self) -> BoxedFilter<(Response,)> {
        let routes = self.0.iter().rev();
        routes.fold(fallback(), |others, route| route.filter().or(others).unify().boxed())
    }
}

impl Entry {
    /// A slash at the end makes no difference, as it makes none to warp (and made none to the services replaced).
    fn matches(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        let (mut wanted, mut found) = (self.template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == found => {}
                (Some(wanted), Some(found)) if parameter_name(wanted).is_some() && !found.is_empty() => {}
                _ => return false,
            }
        }
    }

    fn filter(&self) -> BoxedFilter<(Response,)> {
        let handler = Arc::clone(&self.handler);
        let answer = move |request| {
            let answer = handler(request);
            async { answer.await.unwrap_or_else(|problem| reply::problem(&problem)) }
        };
        Request::filter(self.method.clone(), self.template).then(answer).boxed()
    }
}

/// What a service's routes have for a request. A request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    /// A route takes it; the template.
    Route(&'static str),
    /// The path exists, but not with this method; the methods that it exists with.
    WrongMethod(Vec<Method>),
    /// No such path.
    Unknown,
}

impl Matched {
    /// The template, where there is one: bounded in number, so fit for names of spans and labels of metrics.
    #[must_use]
    pub(super) const fn template(&self) -> Option<&'static str> {
        match self {
            Self::Route(template) => Some(template),
            Self::WrongMethod(_) | Self::Unknown => None,
        }
    }
}

/// These methods, and those that come with them: `HEAD` with `GET`, and `OPTIONS` with any.
fn with_implied(declared: &[&Method]) -> Vec<Method> {
    let mut allowed = Vec::new();
    for method in declared {
        let implied = (**method == Method::GET).then_some(Method::HEAD);
        for method in [(*method).clone()].into_iter().chain(implied) {
            if !allowed.contains(&method) {
                allowed.push(method);
            }
        }
    }
    allowed.push(Method::OPTIONS);
    allowed
}

/// The template of the route that takes a request, if one does.
#[must_use]
pub fn template() -> impl Filter<Extract = (Option<&'static str>,), Error = Infallible> + Clone + Send + Sync
{
    warp::ext::optional::<Matched>()
        .map(|matched: Option<Matched>| matched.as_ref().and_then(Matched::template))
}

/// Answers the requests that no route takes, `OPTIONS` among them (RFC 9110 §9.3.7).
fn fallback() -> BoxedFilter<(Response,)> {
    warp::method()
        .and(warp::ext::optional::<Matched>())
        .map(|method: Method, matched| match matched {
            Some(Matched::WrongMethod(allowed)) if method == Method::OPTIONS => reply::options(&allowed),
            Some(Matched::WrongMethod(allowed)) => reply::method_not_allowed(&allowed),
            _ => reply::problem(&Problem::not_found("There is no such resource.")),
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use contracts::{Owner, ProblemType};
    use http::StatusCode;
    use http_body_util::{BodyExt, Full};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::http::{Body, Caller, CorrelationId};

    fn routes() -> Routes {
        let open = Routes::new(
            "state",
            [
                route(Method::GET, "/orders", describe),
                route(Method::POST, "/orders", describe),
                route(Method::GET, "/orders/stats", describe),
                route(Method::GET, "/orders/{id}", describe),
                route(Method::PATCH, "/orders/{id}/items/{item}", describe),
            ],
        );
        let restricted = Routes::new("state", [route(Method::GET, "/admin", describe)]);
        open.merge(restricted.require(|request| match request.caller {
            Some(_) => Ok(()),
            None => Err(Problem::new(ProblemType::InsufficientScope, "Not you.")),
        }))
    }

    async fn describe(state: &'static str, request: Request) -> Result<Response, Problem> {
        let [id, item] = ["id", "item"].map(|name| request.parameter(name));
        let Request { method, template, query, .. } = &request;
        Ok(Response::new(format!("{state} {method} {template} id={id} item={item} query={query}").into()))
    }

    /// Status and body of the answer.
    async fn answer(method: Method, uri: &str, caller: Option<Caller>) -> (StatusCode, String) {
        let routes = routes();
        let path = uri.split('?').next().unwrap();
        let mut request = http::Request::builder()
            .uri(uri)
            .extension(routes.find(&method, path))
            .extension(CorrelationId("c-1".into()))
            .extension(Body::empty())
            .method(method)
            .body(Full::<bytes::Bytes>::default())
            .unwrap();
        caller.and_then(|caller| request.extensions_mut().insert(caller));
        let service = TowerToHyperService::new(warp::service(routes.filter()));
        let response = service.call(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_request_finds_its_template() {
        for (method, path, template) in [
            (Method::GET, "/orders", "/orders"),
            (Method::GET, "/orders/", "/orders"),
            (Method::GET, "/orders/stats", "/orders/stats"),
            (Method::HEAD, "/orders/7", "/orders/{id}"),
            (Method::PATCH, "/orders/7/items/8", "/orders/{id}/items/{item}"),
        ] {
            assert_eq!(routes().find(&method, path), Matched::Route(template));
        }
    }

    #[test]
    fn a_known_path_with_another_method_names_the_right_ones() {
        let allowed = vec![Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];
        assert_eq!(routes().find(&Method::DELETE, "/orders"), Matched::WrongMethod(allowed));
        for path in ["/", "/orders//", "/order", "/orders/7/items/8/now"] {
            assert_eq!(routes().find(&Method::GET, path), Matched::Unknown, "{path}");
        }
    }

    #[tokio::test]
    async fn the_handler_of_the_first_route_that_fits_answers() {
        for (method, uri, expected) in [
            (Method::POST, "/orders/?page=2", "state POST /orders id= item= query=page=2"),
            (Method::GET, "/orders/stats", "state GET /orders/stats id= item= query="),
            (Method::GET, "/orders/7", "state GET /orders/{id} id=7 item= query="),
            (Method::PATCH, "/orders/7/items/8", "state PATCH /orders/{id}/items/{item} id=7 item=8 query="),
        ] {
            assert_eq!(answer(method, uri, None).await, (StatusCode::OK, expected.to_owned()));
        }
        assert_eq!(answer(Method::GET, "/orders//", None).await.0, StatusCode::NOT_FOUND);
        assert_eq!(answer(Method::DELETE, "/orders/7", None).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn a_requirement_holds_for_its_routes_only() {
        let caller = Caller {
            name: Owner::operator(),
            scopes: Arc::default(),
            rate: None,
            key_id: None,
            address: [127, 0, 0, 1].into(),
        };
        assert_eq!(answer(Method::GET, "/admin", None).await.0, StatusCode::FORBIDDEN);
        assert_eq!(answer(Method::GET, "/admin", Some(caller)).await.0, StatusCode::OK);
        assert_eq!(answer(Method::GET, "/orders", None).await.0, StatusCode::OK);
    }
}
