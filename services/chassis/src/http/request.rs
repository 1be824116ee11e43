//! A request as a handler sees it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;

use contracts::list::{INVALID_CURSOR, List, ListRequest};
use contracts::page::{CursorRequest, PageRequest};
use contracts::problem::InvalidMember;
use contracts::{OwnerFilter, Problem};
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use tracing::Span;
use tracing::field::display;
use uuid::Uuid;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reject::Rejection;

use super::{Body, Caller, CorrelationId, Owned, Unidentified};

/// A request as a handler sees it.
#[derive(Clone)]
pub struct Request {
    /// The method of the route; `HEAD` is answered as `GET`.
    pub method: Method,
    /// The path template of the route.
    pub template: &'static str,
    /// The query string, empty if there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, not read yet.
    pub body: Body,
    /// Joins everything that this request causes.
    pub correlation_id: CorrelationId,
    /// Who sent it, if that is known.
    pub caller: Option<Caller>,
    /// Where it comes from, if it is asked who sends requests.
    pub address: Option<IpAddr>,
    parameters: Parameters,
}

/// The header by which the gateway says whose things it asks for.
pub const OWNER: &str = "x-owner";

/// The parameters of a path, by their name in the template.
type Parameters = Vec<(&'static str, String)>;

/// The answer to a cursor that is none, or leads nowhere.
#[must_use]
pub fn invalid_cursor() -> Problem {
    Problem::invalid(vec![InvalidMember::new("cursor", INVALID_CURSOR)])
}

impl Request {
    /// What the path has at the place called `name` in the template; empty if the template has no such place.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(parameter, _)| *parameter == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The id in the path at the place called `name`; 400 if it is no UUID.
    pub fn id<T: From<Uuid>>(&self, name: &str) -> Result<T, Problem> {
        let invalid = |_| Problem::invalid(vec![InvalidMember::new(name, "must be a UUID")]);
        let id = Uuid::parse_str(self.parameter(name)).map_err(invalid)?;
        if name == "orderId" || self.template.contains("/orders/{id}") {
            // So that a search for an order finds who asked about it as well.
            Span::current().record("order.id", display(id));
        }
        Ok(id.into())
    }

    /// The path as it was asked for, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> String {
        let segments = self.template.split('/').map(|segment| match parameter_name(segment) {
            Some(name) => self.parameter(name),
            None => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// `template` with this request's ids in the places of the same names; 400 if one is no UUID.
    pub fn fill(&self, template: &str) -> Result<String, Problem> {
        let segments = template.split('/').map(|segment| match parameter_name(segment) {
            Some(name) => self.id::<Uuid>(name).map(|id| id.to_string()),
            None => Ok(segment.to_owned()),
        });
        Ok(segments.collect::<Result<Vec<_>, _>>()?.join("/"))
    }

    /// `page` and `limit` of the query string, clamped to their range.
    #[must_use]
    pub fn page(&self) -> PageRequest {
        PageRequest::from_query(|name| self.query_parameter(name))
    }

    /// Which part of a list the query string asks for; 400 that names each parameter that is wrong.
    pub fn list<L: List>(&self) -> Result<ListRequest<L>, Problem> {
        ListRequest::from_query(|name| self.query_parameter(name)).map_err(Problem::invalid)
    }

    /// `after` and `limit` of the query string, clamped to their range.
    #[must_use]
    pub fn cursor<Id: FromStr>(&self) -> CursorRequest<Id> {
        CursorRequest::from_query(|name| self.query_parameter(name))
    }

    /// The first value of this name in the query string.
    #[must_use]
    pub fn query_parameter(&self, wanted: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value)
    }

    /// The names and values of the query string.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        url::form_urlencoded::parse(self.query.as_bytes())
    }

    /// The body as a JSON object; 400 if it is none, or has other members, and what [`Body::read`] may fail with.
    pub async fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let invalid = |what: String| Problem::invalid(vec![InvalidMember::new("", what)]);
        let body = self.body.read().await?;
        // serde takes a list for an object as well, and an empty one for an object that says nothing.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(invalid("the body is not valid: it must be an object".to_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| invalid(format!("the body is not valid: {error}")))
    }

    /// Whose things the gateway asks for; those of all clients if it does not say so.
    pub fn owner(&self) -> Result<OwnerFilter, Problem> {
        let Some(value) = self.headers.get(OWNER) else { return Ok(OwnerFilter::Any) };
        let owner = value.to_str().ok().and_then(|value| value.parse().ok());
        owner.ok_or_else(|| {
            Problem::invalid(vec![InvalidMember::new(OWNER, "must be the name of a client, or *")])
        })
    }

    /// What is asked for, limited to [`owner`](Self::owner).
    pub fn owned<T>(&self, what: T) -> Result<Owned<T>, Problem> {
        Ok(Owned { within: self.owner()?, what })
    }

    /// The operator who asks, as the gateway identified them. Only the gateway reaches a service's port.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.headers.get("x-actor").and_then(|actor| actor.to_str().ok()).unwrap_or("unknown")
    }

    /// Reads requests with this method whose path fits the template; rejects others.
    pub(super) fn filter(
        method: Method,
        template: &'static str,
    ) -> impl Filter<Extract = (Self,), Error = Rejection> + Clone + Send + Sync {
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        only(method.clone())
            .and(path(template))
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::ext::get::<CorrelationId>())
            .and(warp::ext::optional::<Caller>())
            .and(warp::ext::optional::<Unidentified>())
            .and(warp::ext::get::<Body>())
            .map(
                move |parameters,
                      query,
                      headers,
                      correlation_id,
                      caller: Option<Caller>,
                      unidentified,
                      body| Self {
                    address: caller
                        .as_ref()
                        .map(|caller| caller.address)
                        .or_else(|| address_of(unidentified)),
                    method: method.clone(),
                    template,
                    query,
                    headers,
                    body,
                    correlation_id,
                    caller,
                    parameters,
                },
            )
    }
}

fn address_of(unidentified: Option<Unidentified>) -> Option<IpAddr> {
    unidentified.map(|unidentified| unidentified.address)
}

fn only(method: Method) -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync {
    warp::method()
        .and_then(move |found: Method| {
            std::future::ready(if found == method { Ok(()) } else { Err(warp::reject()) })
        })
        .untuple_one()
}

/// Each segment of a template is either a name in braces, for any one segment, or that segment itself.
fn path(template: &'static str) -> BoxedFilter<(Parameters,)> {
    let root = warp::any().map(Parameters::new).boxed();
    let segments = template.split('/').filter(|segment| !segment.is_empty());
    let path = segments.fold(root, |path, segment| match parameter_name(segment) {
        Some(name) => path
            .and(warp::path::param())
            .map(move |mut parameters: Parameters, value: String| {
                parameters.push((name, value));
                parameters
            })
            .boxed(),
        None => path.and(warp::path(segment)).boxed(),
    });
    path.and(warp::path::end()).boxed()
}

/// The name of a template's segment that stands for any segment.
pub(super) fn parameter_name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}
