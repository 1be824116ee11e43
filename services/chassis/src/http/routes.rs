//! The routes that a service answers, as data.
//!
//! warp's filters do the routing; this table gives what they can't: the template for span names and metric labels,
//! and the difference between 404 and 405 with its `Allow` header, whatever other branch a request was tried on.

use std::convert::Infallible;

use contracts::Problem;
use http::{HeaderValue, Method, header};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::reply;

/// Methods and path templates (`/orders/{id}`).
#[derive(Clone, Copy, Debug)]
pub struct RouteTable(pub &'static [(Method, &'static str)]);

/// What a service's tables know about a request. Present as a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// A route takes it; the template.
    Route(&'static str),
    /// The path exists, the method doesn't; the methods that do.
    WrongMethod(Vec<Method>),
    /// No such path.
    Unknown,
}

impl Matched {
    /// Looks a request up in a service's tables. `HEAD` is answered wherever `GET` is (RFC 9110 §9.3.2).
    pub(super) fn find(tables: &[RouteTable], method: &Method, path: &str) -> Self {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        for (known, template) in tables.iter().flat_map(|table| table.0) {
            if matches(template, path) {
                if known == method {
                    return Self::Route(template);
                }
                if !allowed.contains(known) {
                    allowed.push(known.clone());
                }
            }
        }
        if allowed.is_empty() { Self::Unknown } else { Self::WrongMethod(allowed) }
    }

    /// The template, where there is one: bounded in number, so fit for names of spans and labels of metrics.
    #[must_use]
    pub const fn template(&self) -> Option<&'static str> {
        match self {
            Self::Route(template) => Some(template),
            Self::WrongMethod(_) | Self::Unknown => None,
        }
    }
}

/// A slash at the end makes no difference, as it makes none to warp (and made none to the services replaced).
fn matches(template: &str, path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(wanted), Some(found)) if wanted.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

/// A service's routes, whole: a request that none of them takes is answered with 404 or 405.
#[must_use]
pub fn with_fallback(routes: BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)> {
    routes.or(fallback()).unify().boxed()
}

/// The last branch of every service's routes.
fn fallback() -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync {
    warp::ext::optional::<Matched>().map(|matched: Option<Matched>| match matched {
        Some(Matched::WrongMethod(allowed)) => {
            let allow = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            let mut response = reply::problem(Problem::new(405, format!("This resource takes {allow}.")));
            if let Ok(allow) = HeaderValue::from_str(&allow) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        }
        _ => reply::problem(Problem::not_found("There is no such resource.")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [RouteTable; 1] = [RouteTable(&[
        (Method::GET, "/orders"),
        (Method::POST, "/orders"),
        (Method::GET, "/orders/{id}"),
        (Method::PATCH, "/orders/{id}/cancel"),
    ])];

    #[test]
    fn a_request_finds_its_template() {
        for (method, path, template) in [
            (Method::GET, "/orders", "/orders"),
            (Method::HEAD, "/orders/7", "/orders/{id}"),
            (Method::PATCH, "/orders/7/cancel", "/orders/{id}/cancel"),
        ] {
            assert_eq!(Matched::find(&TABLES, &method, path), Matched::Route(template));
        }
    }

    #[test]
    fn a_known_path_with_another_method_names_the_right_ones() {
        let allowed = vec![Method::GET, Method::POST];
        assert_eq!(Matched::find(&TABLES, &Method::DELETE, "/orders"), Matched::WrongMethod(allowed));
        assert_eq!(Matched::find(&TABLES, &Method::GET, "/orders/"), Matched::Route("/orders"));
        for path in ["/", "/orders//", "/order", "/orders/7/cancel/now"] {
            assert_eq!(Matched::find(&TABLES, &Method::GET, path), Matched::Unknown, "{path}");
        }
    }
}
