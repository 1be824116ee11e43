//! When API keys were last used, from a gateway's metrics.

use std::collections::HashMap;

use contracts::Timestamp;
use reqwest::Method;
use time::OffsetDateTime;

use super::{Gateway, GatewayError};

/// The metric, with the key's id as a label and the time as Unix time.
const METRIC: &str = "paysaga_api_key_last_used_timestamp_seconds{";

impl Gateway {
    /// `GET /api/metrics`: when each key was last used, by its id, as far as this gateway knows since it was started.
    pub async fn key_uses(&self) -> Result<HashMap<String, Timestamp>, GatewayError> {
        let metrics = self.text(self.send(self.request(Method::GET, "/api/metrics")).await?).await?;
        Ok(metrics.lines().filter_map(use_in).collect())
    }
}

/// The key and the time that a line of Prometheus' text format is about.
fn use_in(line: &str) -> Option<(String, Timestamp)> {
    let (labels, value) = line.strip_prefix(METRIC)?.rsplit_once("} ")?;
    let key = labels.split(',').find_map(|label| label.strip_prefix("key=\"")?.strip_suffix('"'))?;
    // Whole seconds, which the format may write as a number with a fraction.
    let seconds = value.split('.').next()?.parse().ok()?;
    Some((key.to_owned(), OffsetDateTime::from_unix_timestamp(seconds).ok()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_read_from_its_line_alone() {
        let line = r#"paysaga_api_key_last_used_timestamp_seconds{caller="shop",key="2c70e12b",otel_scope_name="x"} 1767323045"#;
        let (key, time) = use_in(line).unwrap();
        assert_eq!((key.as_str(), time.to_string().as_str()), ("2c70e12b", "2026-01-02T03:04:05.000Z"));
        for other in ["# TYPE paysaga_api_key_last_used_timestamp_seconds gauge", "up{key=\"a\"} 1", ""] {
            assert_eq!(use_in(other), None, "{other}");
        }
    }
}
