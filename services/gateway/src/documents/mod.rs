//! What describes the API, for programs and for people. It needs no key: it says what is in the repository, and nothing of what
//! runs here.
//!
//! The page is one file of HTML with its style and script, served from here: it loads nothing from anywhere else.

mod problems;

use std::sync::{Arc, LazyLock};

use ::http::{HeaderValue, Method, header};
use bytes::Bytes;
use chassis::http::{Request, Response, route};
use contracts::{Problem, ProblemType, schema};
use serde_json::Value;

use crate::Gateway;
use crate::http::{served, table};
use crate::openapi::operations::documents;
use crate::openapi::{self, Described};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// A page loads its own script and style, asks this gateway, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The gateway's HTTP as OpenAPI 3.1.
#[must_use]
pub fn document_of_http() -> Value {
    openapi::document(&table())
}

static OPENAPI: LazyLock<String> = LazyLock::new(|| document_of_http().to_string());
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| schema::asyncapi::document().to_string());

pub(crate) fn routes() -> Vec<Described<Arc<Gateway>>> {
    vec![
        served(route(Method::GET, "/api/openapi.json", openapi_json), documents::openapi()),
        served(route(Method::GET, "/api/asyncapi.json", asyncapi_json), documents::asyncapi()),
        served(route(Method::GET, "/api/docs", page), documents::page()),
        served(route(Method::GET, "/api/docs/page.js", script), documents::script()),
        served(route(Method::GET, "/api/docs/page.css", style), documents::style()),
        served(route(Method::GET, "/api/problems/{name}", problem), documents::problem()),
    ]
}

async fn openapi_json(_: Arc<Gateway>, _: Request) -> Result<Response, Problem> {
    Ok(document(JSON, OPENAPI.as_str()))
}

async fn asyncapi_json(_: Arc<Gateway>, _: Request) -> Result<Response, Problem> {
    Ok(document(JSON, ASYNCAPI.as_str()))
}

async fn page(_: Arc<Gateway>, _: Request) -> Result<Response, Problem> {
    Ok(document(HTML, include_str!("page.html")))
}

async fn script(_: Arc<Gateway>, _: Request) -> Result<Response, Problem> {
    Ok(document("text/javascript; charset=utf-8", include_str!("page.js")))
}

async fn style(_: Arc<Gateway>, _: Request) -> Result<Response, Problem> {
    Ok(document("text/css; charset=utf-8", include_str!("page.css")))
}

/// What a kind of problem means, for those who follow its `type`.
async fn problem(_: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let unknown = |_| Problem::not_found("There is no such kind of problem.");
    let kind: ProblemType = request.parameter("name").parse().map_err(unknown)?;
    Ok(document(HTML, problems::page(kind)))
}

fn document(content_type: &'static str, text: impl Into<Bytes>) -> Response {
    let text: Bytes = text.into();
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
