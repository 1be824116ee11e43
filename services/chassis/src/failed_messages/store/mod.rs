//! The tables of failed messages.
//!
//! ```text
//! failed_messages         lifecycle: as they fail and are handled again · list: as operators see them
//!                         decisions: as operators decide about them
//! failed_message_audit    audit: what was done about them, by whom
//! ```

mod audit;
mod decisions;
mod filter;
mod lifecycle;
mod list;

pub(super) use decisions::{Decision, Discard, discard, replay, replay_matching};
pub(super) use lifecycle::{Due, insert, mark_failed, mark_replayed, next_due, open_by_queue};
pub(super) use list::{count, find, list};
