//! The tables of failed messages, one file each: `failed_messages` and `failed_message_audit`.

mod audit;
mod messages;

pub(crate) use messages::open_by_queue;
pub(super) use messages::{
    Decision, Discard, Replay, count, discard, find, hold, insert, list, mark_failed, mark_replayed, replay,
    replay_matching, take_replay,
};
