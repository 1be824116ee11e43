//! What requests carry in their path and query.

use std::convert::Infallible;
use std::str::FromStr;

use contracts::Problem;
use contracts::page::PageRequest;
use contracts::problem::InvalidMember;
use warp::Filter;

/// The id in the path at the place called `name`, or the problem that it is none.
pub fn id<T: FromStr>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::invalid(vec![InvalidMember::new(name, "must be a UUID")]))
}

/// The query string, empty if there is none.
#[must_use]
pub fn query_string() -> impl Filter<Extract = (String,), Error = Infallible> + Clone + Send + Sync {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// `page` and `limit` of the query string, clamped to their range.
#[must_use]
pub fn page_request() -> impl Filter<Extract = (PageRequest,), Error = Infallible> + Clone + Send + Sync {
    query_string().map(|query: String| {
        let value = |wanted: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value)
        };
        PageRequest::from_query(value("page").as_deref(), value("limit").as_deref())
    })
}
