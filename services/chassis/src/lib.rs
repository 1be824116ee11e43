//! What every service needs and no service owns.
//!
//! ```text
//! service    configure, start, drain
//!   config, telemetry, health, tasks
//! http       requests in
//! broker     the connection, the topology, publishing with confirms
//! consumer   messages in, a batch at a time
//! failed_messages  what could not be handled: stored, replayed, discarded
//! outbox     state and messages in one commit, messages out
//! database   the pool, the migrations, what an error means
//! ```
//!
//! lapin, the transaction around the outbox and OpenTelemetry's plumbing appear in this crate only.

pub mod backoff;
pub mod broker;
pub mod config;
pub mod consumer;
pub mod database;
pub mod failed_messages;
pub mod failpoint;
pub mod health;
pub mod http;
pub mod outbox;
pub mod service;
pub mod tasks;
pub mod telemetry;
