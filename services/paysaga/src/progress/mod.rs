//! What happens step by step: spinners and bars on a terminal, plain lines elsewhere. All on standard error, so that
//! standard output holds results only.

mod bar;

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

pub use bar::Bar;
use local_stack::progress;

use crate::output::printable;

/// Where steps are shown.
#[derive(Debug)]
pub struct Progress {
    terminal: Option<MultiProgress>,
}

/// One step under way. Dropped without [`Step::done`] it disappears: the error that follows has the reason.
#[derive(Debug)]
pub struct Step {
    what: String,
    since: Instant,
    spinner: Option<ProgressBar>,
}

impl Progress {
    /// Spinners if standard error is a terminal.
    #[must_use]
    pub fn new() -> Self {
        Self { terminal: stderr().is_terminal().then(MultiProgress::new) }
    }

    /// Begins a step; several may run side by side.
    #[must_use]
    pub fn step(&self, what: &str) -> Step {
        const FRAME: Duration = Duration::from_millis(100);
        let spinner = self.terminal.as_ref().map(|terminal| {
            let spinner = terminal.add(ProgressBar::new_spinner().with_prefix(format!("{what:<10}")));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} ({elapsed})") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(FRAME);
            spinner
        });
        Step { what: what.to_owned(), since: Instant::now(), spinner }
    }

    /// Shows a line that belongs to no step.
    pub fn message(&self, line: &str) {
        match &self.terminal {
            // A terminal that was closed is no reason to fail.
            Some(terminal) => drop(terminal.println(printable(line))),
            None => write(line),
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Step {
    /// Shows what the step waits for. On a terminal only: it changes many times a second.
    pub fn waits_for(&self, what: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(printable(what));
        }
    }

    /// Ends the step with its result.
    pub fn done(self, result: &str) {
        self.end('✓', result);
    }

    /// Ends the step with a result that is not as it should be, but stops nothing.
    pub fn warn(self, result: &str) {
        self.end('!', result);
    }

    fn end(mut self, mark: char, result: &str) {
        let line = format!("{mark} {:<10} {result} ({:.1} s)", self.what, self.since.elapsed().as_secs_f32());
        match self.spinner.take() {
            Some(spinner) => {
                if let Ok(style) = ProgressStyle::with_template("{msg}") {
                    spinner.set_style(style);
                }
                spinner.finish_with_message(printable(&line));
            }
            None => write(&line),
        }
    }
}

impl progress::Progress for Progress {
    type Step = Step;

    fn step(&self, what: &str) -> Step {
        Self::step(self, what)
    }

    fn message(&self, line: &str) {
        Self::message(self, line);
    }
}

impl progress::Step for Step {
    fn waits_for(&self, what: &str) {
        Self::waits_for(self, what);
    }

    fn done(self, result: &str) {
        Self::done(self, result);
    }

    fn warn(self, result: &str) {
        Self::warn(self, result);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn write(line: &str) {
    // As above: the other end may have been closed.
    let _ = writeln!(stderr(), "{}", printable(line));
}
