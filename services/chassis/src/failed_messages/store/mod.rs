//! The tables of failed messages, one file each: `failed_messages` and `failed_message_audit`.

mod audit;
mod messages;

pub(super) use messages::{
    Decision, Discard, Replay, count, discard, find, hold, insert, list, mark_failed, mark_replayed,
    open_by_queue, open_of_order, replay, replay_matching, take_replay,
};
