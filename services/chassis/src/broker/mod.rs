//! RabbitMQ: supervised connections, one to publish and one to consume, the topology, and publishing with confirms.
//!
//! ```text
//! connection   connect to a node → declare topology → up | blocked | down → back off → connect to the next …
//! publisher    batches → lanes of their queue (a channel each, in confirm mode, a window at a time) → confirmed | returned | unconfirmed
//! restoration  something was returned, or a consumer's queue is missing → declare topology again, in the background
//! ```
//!
//! lapin's own recovery is not used: it gives up after some minutes, and a channel that the broker closed stays closed.
//! Here a lost connection is replaced as a whole, and with it every channel, by its user.

mod config;
mod connection;
mod conversion;
mod declaration;
mod gauge;
mod inspect;
mod inspector;
mod lane;
mod message;
mod publisher;
mod publishers;
mod restoration;
mod throttle;
mod topology;
mod url;

pub use config::{BrokerConfig, BrokerVariables};
pub use connection::{Broker, Purpose, Unavailable};
pub use conversion::{ConversionError, Converted, convert_queues};
pub use declaration::QueueType;
pub use inspect::{QueueDepth, queue_depths};
pub use message::Message;
pub use publisher::{PublishError, PublishResult, Publisher};
pub use url::BrokerUrl;

pub(crate) use gauge::{QUEUED_NOW, measure_queues};
pub(crate) use inspector::QueueInspector;
pub(crate) use message::trace_context;
pub(crate) use publishers::{Forged, NOT_VERIFIED, Publishers};
pub(crate) use throttle::Throttle;
