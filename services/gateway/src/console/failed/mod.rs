//! Messages that could not be handled: by cause, as lists, one by one, and what is done about them.

mod actions;
mod causes;
mod difference;
mod list;
mod message;

pub(super) use actions::{discard, edit, replay};
pub(super) use causes::{live, page as causes};
pub(super) use list::page as list;
pub(super) use message::page as message;
