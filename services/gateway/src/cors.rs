//! Which web pages may call the gateway (Cross-Origin Resource Sharing).

use http::Method;
use url::Url;
use warp::cors::Builder;

/// The origins whose pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsConfig {
    /// All of them.
    Any,
    /// These.
    Origins(Vec<String>),
}

impl CorsConfig {
    /// Reads origins separated by commas, or `*`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let origin = |text: &str| {
            let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
            let origin = url.origin().ascii_serialization();
            (origin == text).then_some(origin)
        };
        text.split(',').map(|text| origin(text.trim())).collect::<Option<_>>().map(Self::Origins).ok_or_else(
            || "must be origins such as https://shop.example, separated by commas, or *".to_owned(),
        )
    }

    pub(crate) fn filter(&self) -> Builder {
        let cors = warp::cors()
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE])
            .allow_headers([
                "authorization",
                "content-type",
                "idempotency-key",
                "if-none-match",
                "last-event-id",
                "prefer",
                "traceparent",
                "tracestate",
                "x-correlation-id",
            ])
            .expose_headers([
                "etag",
                "idempotency-replayed",
                "link",
                "location",
                "preference-applied",
                "ratelimit",
                "ratelimit-policy",
                "retry-after",
                "traceparent",
                "x-correlation-id",
            ])
            .max_age(3600);
        match self {
            Self::Any => cors.allow_any_origin(),
            Self::Origins(origins) => cors.allow_origins(origins.iter().map(String::as_str)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_host_and_nothing_more() {
        let origins = ["https://shop.example", "http://localhost:8080"].map(str::to_owned).to_vec();
        assert_eq!(
            CorsConfig::parse("https://shop.example, http://localhost:8080"),
            Ok(CorsConfig::Origins(origins))
        );
        assert_eq!(CorsConfig::parse("*"), Ok(CorsConfig::Any));
        for wrong in ["shop.example", "https://shop.example/", "https://shop.example,", "ftp://shop.example"]
        {
            assert!(CorsConfig::parse(wrong).is_err(), "{wrong}");
        }
    }
}
