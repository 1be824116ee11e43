//! Replays: preview, begin, watch and steer them.

mod actions;
mod list;
mod page;
mod preview;

pub(super) use actions::{begin, cancel, pause, resume};
pub(super) use list::page as list;
pub(super) use page::{live, page};
pub(super) use preview::page as preview;
