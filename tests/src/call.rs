//! A request to the gateway, whose answer is held against the gateway's own description.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::{Body, RequestBuilder, Response};
use serde::Serialize;

use crate::description::DESCRIPTION;

/// A request to the gateway.
#[must_use = "it is not sent yet"]
pub struct Call {
    method: Method,
    path: String,
    request: RequestBuilder,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str, request: RequestBuilder) -> Self {
        Self { method, path: path.to_owned(), request }
    }

    fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self { request: change(self.request), ..self }
    }

    /// With this header.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.with(|request| request.header(name, value))
    }

    /// With these headers.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|request| request.headers(headers))
    }

    /// With this key.
    pub fn bearer_auth(self, key: impl std::fmt::Display) -> Self {
        self.with(|request| request.bearer_auth(key))
    }

    /// With this body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|request| request.body(body))
    }

    /// With this body as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.with(|request| request.json(body))
    }

    /// For so long at most.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout(timeout))
    }

    /// Sends it. The answer must be one that the gateway describes; a stream is passed on as it comes.
    pub async fn send(self) -> reqwest::Result<Response> {
        let response = self.request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|found| found.starts_with("text/event-stream")) {
            DESCRIPTION.check_stream(&self.method, &self.path, status, &headers);
            return Ok(response);
        }
        let body = response.bytes().await?;
        DESCRIPTION.check(&self.method, &self.path, status, &headers, &body);
        let mut copy = http::Response::new(body);
        *copy.status_mut() = status;
        *copy.headers_mut() = headers;
        Ok(copy.into())
    }
}
