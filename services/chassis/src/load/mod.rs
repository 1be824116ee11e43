//! How much work waits in a service, and how fast it goes.
//!
//! ```text
//! consumers, a service's own tasks → stages ─┐
//! queues on the broker ──────────────────────┼→ probe → GET /load → gateway: lets more in, or less
//! outbox ────────────────────────────────────┘
//! ```
//!
//! Everything here counts what waits and how fast that gets less; no clock of one machine is compared with another's.

mod probe;
mod stage;

pub(crate) use probe::{Places, Probe};
pub use stage::Stage;
