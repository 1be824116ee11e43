//! Jaeger's address, and those of its pages.

use std::fmt;
use std::str::FromStr;

use contracts::{OrderId, Timestamp};
use serde::{Serialize, Serializer};
use url::Url;

/// The address of Jaeger's pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JaegerUrl(Url);

/// Not the address of Jaeger's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a URL such as http://127.0.0.1:16686")]
pub struct InvalidJaegerUrl;

/// Which traces are looked for: those that a span with this order's id belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The order.
    pub order: OrderId,
    /// No trace is older.
    pub since: Timestamp,
    /// No trace is younger.
    pub until: Timestamp,
}

impl JaegerUrl {
    /// The page of a trace.
    #[must_use]
    pub fn of_trace(&self, trace_id: &str) -> String {
        format!("{self}/trace/{trace_id}")
    }

    /// The page that looks for traces.
    #[must_use]
    pub fn of_search(&self, search: Search) -> String {
        // Otherwise the page looks an hour back, whatever the times.
        self.searching("search", "order", search, &[("lookback", "custom")])
    }

    /// Where Jaeger's API answers a search among the spans of one service.
    pub(super) fn of_api(&self, service: &str, search: Search) -> String {
        self.searching("api/traces", service, search, &[])
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    fn searching(&self, path: &str, service: &str, search: Search, more: &[(&str, &str)]) -> String {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        let microseconds = |time: Timestamp| (time.as_datetime().unix_timestamp_nanos() / 1_000).to_string();
        url.query_pairs_mut()
            .append_pair("service", service)
            .append_pair("tags", &serde_json::json!({ "order.id": search.order }).to_string())
            .append_pair("start", &microseconds(search.since))
            .append_pair("end", &microseconds(search.until))
            .append_pair("limit", "20")
            .extend_pairs(more);
        url.into()
    }
}

impl FromStr for JaegerUrl {
    type Err = InvalidJaegerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidJaegerUrl> {
        let url: Url = text.trim().parse().map_err(|_| InvalidJaegerUrl)?;
        // What follows the path would end up in the middle of every address.
        let ends_with_path = url.query().is_none() && url.fragment().is_none();
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && ends_with_path;
        usable.then_some(Self(url)).ok_or(InvalidJaegerUrl)
    }
}

impl fmt::Display for JaegerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Serialize for JaegerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_below_the_address_that_is_given() {
        for (address, page) in [
            ("http://127.0.0.1:16686", "http://127.0.0.1:16686/trace/4bf9"),
            ("http://127.0.0.1:16686/", "http://127.0.0.1:16686/trace/4bf9"),
            ("https://ops.example/jaeger/", "https://ops.example/jaeger/trace/4bf9"),
        ] {
            assert_eq!(address.parse::<JaegerUrl>().unwrap().of_trace("4bf9"), page);
        }
    }

    #[test]
    fn a_search_is_encoded_and_has_its_own_times() {
        let jaeger: JaegerUrl = "https://ops.example/jaeger/".parse().unwrap();
        let search = Search {
            order: "01a20419-0d0b-7684-9174-e5045bf5b9c4".parse().unwrap(),
            since: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            until: "2026-01-02T04:04:05.678Z".parse().unwrap(),
        };
        assert_eq!(
            jaeger.of_search(search),
            "https://ops.example/jaeger/search?service=order&tags=%7B%22order.id%22%3A%2201a20419-0d0b-7684-9174-e5045bf5b9c4\
             %22%7D&start=1767323045678000&end=1767326645678000&limit=20&lookback=custom"
        );
        let asked = jaeger.of_api("payment", search);
        assert!(
            asked.starts_with("https://ops.example/jaeger/api/traces?service=payment&tags=%7B"),
            "{asked}"
        );
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in ["", "127.0.0.1:16686", "localhost:16686", "ftp://127.0.0.1", "http://127.0.0.1/?a=b"] {
            assert_eq!(text.parse::<JaegerUrl>(), Err(InvalidJaegerUrl), "{text}");
        }
    }
}
