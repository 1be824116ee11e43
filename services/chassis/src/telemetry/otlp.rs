//! Where telemetry is sent (OTLP over HTTP, protobuf), as the standard `OTEL_*` variables say.

use std::time::Duration;

use crate::config::Environment;

/// How long a batch may take to be sent (the default of `OTEL_EXPORTER_OTLP_TIMEOUT`).
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The endpoints of the three signals; none where a signal is not sent. The exporters read the same variables, and add the paths.
pub(super) struct Endpoints {
    pub(super) traces: Option<String>,
    pub(super) metrics: Option<String>,
    pub(super) logs: Option<String>,
}

impl Endpoints {
    /// Traces are sent wherever there is an endpoint. Metrics and logs are sent where that is asked for: they can be had without
    /// (`/metrics`, standard output), and many a receiver of traces refuses them.
    pub(super) fn of(environment: &Environment) -> Self {
        let own = |signal: &str| environment.get(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
        let shared = || environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
        let exporter = |signal: &str| environment.get(&format!("OTEL_{signal}_EXPORTER"));
        let asked = |signal: &str| match exporter(signal) {
            Some("otlp") => own(signal).or_else(shared),
            Some(_) => None,
            None => own(signal),
        };
        let traces = match exporter("TRACES") {
            None | Some("otlp") => own("TRACES").or_else(shared),
            Some(_) => None,
        };
        let owned = |endpoint: Option<&str>| endpoint.map(str::to_owned);
        Self { traces: owned(traces), metrics: owned(asked("METRICS")), logs: owned(asked("LOGS")) }
    }
}

/// The client for an endpoint without TLS, which needs no certificate authorities and must not fail where there are none. The
/// exporter makes the client for one with TLS itself.
pub(super) fn plain_client(endpoint: &str) -> Result<Option<reqwest::blocking::Client>, reqwest::Error> {
    if !endpoint.starts_with("http://") {
        return Ok(None);
    }
    let client = reqwest::blocking::Client::builder().timeout(EXPORT_TIMEOUT).no_proxy().tls_certs_only([]);
    client.build().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(variables: &[(&str, &str)]) -> [Option<String>; 3] {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let Endpoints { traces, metrics, logs } = Endpoints::of(&Environment::new(variables));
        [traces, metrics, logs]
    }

    #[test]
    fn metrics_and_logs_are_sent_where_that_is_asked_for() {
        let everything = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all");
        let all = || Some("http://all".to_owned());
        assert_eq!(endpoints(&[]), [None, None, None]);
        assert_eq!(endpoints(&[everything]), [all(), None, None]);
        assert_eq!(endpoints(&[everything, ("OTEL_METRICS_EXPORTER", "otlp")]), [all(), all(), None]);
        assert_eq!(endpoints(&[everything, ("OTEL_LOGS_EXPORTER", "none")]), [all(), None, None]);
        assert_eq!(endpoints(&[everything, ("OTEL_TRACES_EXPORTER", "none")]), [None, None, None]);
        let own = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs");
        assert_eq!(endpoints(&[own]), [None, None, Some("http://logs".to_owned())]);
    }
}
