//! The auditor: proves the invariants of `docs/INVARIANTS.md` on live data.
//!
//! ```text
//! databases (rows) ─┐
//! gateway_pages ────┴→ records of one order, its payment, its charge → judge (contracts::books) → auditor (sums) → report → table
//! backlog: outboxes, failed messages, queues ──────────────────────────────────────────────────────────↗
//! trail: the chain of who was refused, cancelled and decided what ─────────────────────────────────────↗
//! ```

pub mod auditor;
pub mod backlog;
pub mod databases;
pub mod gateway_pages;
pub mod report;
mod table;
pub mod trail;

pub use report::{Finding, Report};
pub use table::render;
