//! The tables of failed messages and of replays.
//!
//! ```text
//! dead_letters ─→ failed_messages ─→ messages, causes (as operators see them)
//!                   ↑ decisions, turns
//! beginning ─→ replays, replay_members ─→ replays (as operators see them)
//!                   ↑ members (one taken, one settled), progress (waves, ends)
//! audit, replay_decisions: who did what, and why
//! ```

mod audit;
mod beginning;
mod causes;
mod dead_letters;
mod decisions;
mod filter;
mod members;
mod messages;
mod progress;
mod replay_decisions;
mod replays;
mod turns;

pub(super) use beginning::{Beginning, MAX_MEMBERS, begin, preview};
pub(super) use causes::causes;
pub(super) use dead_letters::{hold, insert};
pub(super) use decisions::{
    Decision, Discard, Edit, Original, discard, edit, original, replay, replay_matching,
};
pub(super) use members::{Taken, handled_by_others, settle_one, take as take_member};
pub(crate) use messages::open_by_queue;
pub(super) use messages::{count, find, list, of_order};
pub(super) use progress::{Ended, end, next_waves, unfinished};
pub(super) use replays::{Change, WAITING, change, find as find_replay, list as list_replays, members};
pub(super) use turns::{Turn, mark_failed, mark_replayed, put_off, take};
