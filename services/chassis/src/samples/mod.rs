//! What happened in each ten seconds, of all replicas and for an hour: what an overview draws.
//!
//! ```text
//! what is counted (atomics) ─→ sampler, every ten seconds ─→ table samples ─→ added up when an overview is read
//! gauges ─→ Latest ──────────────────┘
//! ```
//!
//! The table is an ordinary one: an unlogged table would be empty after a crash of PostgreSQL and on the standby that takes over,
//! when operators most want to know what was before. It costs a row in ten seconds, and its commits don't wait for the disk.

mod latencies;
mod latest;
mod sampler;

pub use latencies::{Latencies, LatencyCounts, taken};
pub use latest::Latest;
pub(crate) use sampler::start;
pub use sampler::{Counts, Sample, WaitingThen};
