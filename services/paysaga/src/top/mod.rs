//! The overview in a terminal.
//!
//! ```text
//! GET /api/admin/overview, every two seconds ─→ figures: sections of rows ─→ view: a frame ─→ terminal
//! keys, signals ─→ watch ──────────────────────────────┘            └─→ text, for `--once`
//! ```

mod figures;
mod history;
mod terminal;
mod view;
mod watch;

pub use view::text;
pub use watch::watch;
