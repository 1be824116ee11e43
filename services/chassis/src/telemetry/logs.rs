//! Logs for people (on a terminal) and for machines (one JSON object a line), on standard output.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Environment, Problems};

crate::variables! {
    /// How a service logs.
    pub struct LogVariables {
        /// `json` (one object a line), `human`, or `auto`: human on a terminal, json elsewhere.
        log_format = "auto",
        /// What is logged, as `level` or `target=level,…` (tracing's `EnvFilter`).
        rust_log = "info,sqlx=warn,lapin=off",
    }
}

/// The target of spans whose fields no line of the log needs: they are not written down for logs.
pub const TRACE_ONLY: &str = "chassis::trace_only";

/// How a service logs.
pub struct LogConfig {
    format: Format,
    filter: String,
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Human,
}

impl LogConfig {
    pub(super) fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: LogVariables = environment.read(problems)?;
        let format = variables.log_format().parse_with(problems, |text| match text {
            "human" => Ok(Format::Human),
            "auto" if std::io::stdout().is_terminal() => Ok(Format::Human),
            "json" | "auto" => Ok(Format::Json),
            _ => Err("must be json, human or auto".to_owned()),
        });
        let filter = variables.rust_log().parse_with(problems, |text| {
            EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
        });
        Some(Self { format: format?, filter: filter? })
    }
}

pub(super) fn layer<S>(config: &LogConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer: Box<dyn Layer<S> + Send + Sync> = match config.format {
        // The innermost span alone: it carries the ids, and its ancestors would repeat them. Not tracing-subscriber's own
        // JSON, which parses the fields of the span again for each line and for each field that is recorded later.
        Format::Json => {
            let json = json_subscriber::fmt::layer();
            Box::new(json.flatten_event(true).with_current_span(true).with_span_list(false))
        }
        Format::Human => {
            let human = tracing_subscriber::fmt::layer();
            Box::new(human.with_ansi(std::io::stdout().is_terminal()))
        }
    };
    let logged = filter_fn(|metadata| metadata.target() != TRACE_ONLY);
    Box::new(layer.with_filter(EnvFilter::new(&config.filter).and(logged)))
}
