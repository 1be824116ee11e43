//! Which failed messages a command is about.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use contracts::Timestamp;
use contracts::failed_message::FailedMessageFilter;
use contracts::topology::Service;

/// Which failed messages.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which messages")]
pub(super) struct Which {
    /// Of this service [default: both]
    #[arg(long, value_parser = service_names())]
    service: Option<Service>,
    /// That failed on this queue
    #[arg(long)]
    queue: Option<String>,
    /// Of this event type
    #[arg(long = "type", value_name = "EVENT_TYPE")]
    event_type: Option<String>,
    /// Whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason_contains: Option<String>,
    /// With exactly this cause, as `paysaga failed causes` prints it
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
    /// That failed last at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// That failed last before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

/// The services that have failed messages.
pub(super) fn service_names() -> impl TypedValueParser<Value = Service> {
    PossibleValuesParser::new(Service::WITH_DATABASE.map(Service::name))
        .try_map(|name| name.parse::<Service>())
}

/// The service that was named, else all that have failed messages.
pub(super) fn services(named: Option<Service>) -> Vec<Service> {
    named.map_or_else(|| Service::WITH_DATABASE.to_vec(), |service| vec![service])
}

impl Which {
    pub(super) fn services(&self) -> Vec<Service> {
        services(self.service)
    }

    pub(super) fn filter(&self) -> FailedMessageFilter {
        FailedMessageFilter {
            queue: self.queue.clone(),
            event_type: self.event_type.clone(),
            reason: self.reason_contains.clone(),
            cause: self.cause.clone(),
            status: None,
            from: self.from,
            to: self.to,
        }
    }
}
