//! The auditor: proves the invariants of `docs/INVARIANTS.md` on live data.
//!
//! ```text
//! databases (streams by order id) ─┐
//! pages (of the gateway) ──────────┴→ pairs: one order, its payment, its charge → judge (pure) → report
//! backlog: outboxes, failed messages, queues ──────────────────────────────────────────────────────↗
//! ```

pub mod backlog;
pub mod databases;
pub mod judge;
pub mod pages;
pub mod pairs;
pub mod report;
mod table;

pub use report::{Finding, Report};
pub use table::render;
