//! How much of a known amount is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// A bar on a terminal, nothing elsewhere: results are printed line by line there. It disappears when it is dropped.
#[derive(Debug)]
pub struct Bar(Option<ProgressBar>);

impl Progress {
    /// Begins to count up to `total`.
    #[must_use]
    pub fn bar(&self, what: &'static str, total: u64) -> Bar {
        const FRAME: Duration = Duration::from_millis(100);
        Bar(self.terminal.as_ref().map(|terminal| {
            let bar = terminal.add(ProgressBar::new(total).with_prefix(what));
            let template = "{spinner} {prefix} [{bar:30}] {pos}/{len} ({elapsed}) {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(FRAME);
            bar
        }))
    }
}

impl Bar {
    /// One more is done.
    pub fn advance(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// So many are done.
    pub fn set(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Shows what is waited for.
    pub fn waits_for(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
