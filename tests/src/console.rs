//! The operator's console, as a browser without scripts sees it.

use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use crate::Stack;
use crate::api_keys::Key;

/// A browser that may have signed in.
#[derive(Clone)]
pub struct Visitor {
    client: Client,
    url: String,
    /// `name=value` of its session.
    cookie: Option<String>,
}

/// A page, or what came instead of it.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The page.
    pub html: String,
    /// How long it took.
    pub took: std::time::Duration,
}

impl Answer {
    async fn of(response: Response, began: Instant) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let html = response.text().await.expect("a page");
        Self { status, headers, html, took: began.elapsed() }
    }

    /// Where a redirection leads.
    #[must_use]
    pub fn location(&self) -> &str {
        let location = self.headers.get(header::LOCATION).unwrap_or_else(|| panic!("{self:?}"));
        location.to_str().expect("a path")
    }

    /// The token that the page's forms carry.
    #[must_use]
    pub fn form_token(&self) -> String {
        let (_, rest) = self.html.split_once("name=\"token\" value=\"").expect("the page has a form");
        rest.split('"').next().expect("a value").to_owned()
    }
}

impl Stack {
    /// A browser that has not signed in.
    #[must_use]
    pub fn stranger(&self) -> Visitor {
        Visitor::of(self.gateway.url())
    }

    /// A browser that has signed in with a key.
    pub async fn visitor(&self, key: Key) -> Visitor {
        let mut visitor = self.stranger();
        let answer = visitor.sign_in(key).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        visitor
    }
}

impl Visitor {
    /// A browser that has not signed in, of the gateway at this address.
    #[must_use]
    pub fn of(url: String) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { client, url, cookie: None }
    }

    /// The same browser at another gateway of the same name.
    #[must_use]
    pub fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }

    /// Sends the form for signing in, and keeps the cookie that comes back.
    pub async fn sign_in(&mut self, key: Key) -> Answer {
        let answer = self.send("/console/sign-in", &[("key", key.secret)], "same-origin").await;
        self.keep_cookie(&answer);
        answer
    }

    /// Opens the console of a gateway without authentication, which asks for no key.
    pub async fn open(&mut self) {
        let answer = self.get("/console/sign-in").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        self.keep_cookie(&answer);
    }

    fn keep_cookie(&mut self, answer: &Answer) {
        let set = answer.headers.get(header::SET_COOKIE).map(|value| value.to_str().expect("text"));
        if let Some(pair) = set.and_then(|set| set.split(';').next()) {
            self.cookie = Some(pair.to_owned());
        }
    }

    /// Its session, as it sends it.
    #[must_use]
    pub fn cookie(&self) -> &str {
        self.cookie.as_deref().expect("it has signed in")
    }

    /// Asks for a page.
    pub async fn get(&self, path: &str) -> Answer {
        let began = Instant::now();
        let request = self.client.get(format!("{}{path}", self.url)).headers(self.cookies());
        Answer::of(request.send().await.expect("the gateway answers"), began).await
    }

    /// A page that is there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.html);
        answer.html
    }

    /// Sends a form of its session, with the reason that each action needs.
    pub async fn act(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.get("/console/search?q=nothing").await.form_token();
        let mut all = vec![("token", token.as_str()), ("reason", "a test")];
        all.extend_from_slice(fields);
        self.send(path, &all, "same-origin").await
    }

    /// Sends a form, as one that a page of `site` has.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)], site: &'static str) -> Answer {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields);
        let request = self
            .client
            .request(Method::POST, format!("{}{path}", self.url))
            .headers(self.cookies())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            // Browsers send it with each form, to their own site too.
            .header(
                header::ORIGIN,
                if site == "same-origin" { &self.url } else { "https://elsewhere.example" },
            )
            .body(query.finish());
        let began = Instant::now();
        Answer::of(request.send().await.expect("the gateway answers"), began).await
    }

    fn cookies(&self) -> HeaderMap {
        let cookie = self.cookie.as_deref().map(|cookie| HeaderValue::try_from(cookie).expect("a header"));
        cookie.map(|cookie| (header::COOKIE, cookie)).into_iter().collect()
    }
}
