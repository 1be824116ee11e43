//! What every service needs and no service owns.
//!
//! ```text
//! program          configure, start, drain
//!   config, telemetry, health, tasks
//! transport        TLS, and what may do without
//! participant      a service with an aggregate and a database: everything between them and the broker
//! http             requests in
//! broker           the connection, the topology, publishing with confirms
//! consumer         messages in, a batch at a time
//! cadence          how far apart batches begin
//! aggregate        triggers to an order: load, transition, save, in one way for all of them
//! load             how much work waits, and how fast it goes
//! overview         what waits, as operators see it
//! outbox           state and messages in one commit, messages out
//! failed_messages  what could not be handled: stored, replayed, discarded
//! database         pools, migrations, what an error means
//! retention        what was kept for long enough, deleted
//! samples          what happened in each ten seconds, for an overview
//! ```
//!
//! lapin, the transaction around the outbox and OpenTelemetry's plumbing appear in this crate only.

pub mod aggregate;
pub mod backoff;
pub mod broker;
pub mod cadence;
pub mod config;
pub mod consumer;
pub mod database;
pub mod failed_messages;
pub mod failpoint;
pub mod health;
pub mod http;
mod huge_pages;
pub mod load;
pub mod open_files;
pub mod outbox;
pub mod overview;
mod panics;
pub mod participant;
pub mod program;
pub mod retention;
pub mod samples;
pub mod tasks;
pub mod telemetry;
pub mod text;
pub mod transport;
