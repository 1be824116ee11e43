//! How what happens while a stack starts, runs and stops is reported to the caller.

/// Shows progress to the person who waits.
pub trait Progress {
    /// A step under way.
    type Step: Step;

    /// Begins a step; several may be under way at once.
    fn step(&self, what: &str) -> Self::Step;

    /// Shows a line that belongs to no step.
    fn message(&self, line: &str);
}

/// A step under way. One that is dropped instead of ended has failed; the error that is returned has the reason.
pub trait Step {
    /// Shows what the step waits for.
    fn waits_for(&self, what: &str);

    /// Ends the step with its result.
    fn done(self, result: &str);

    /// Ends the step with a result that is not as it should be, but stops nothing.
    fn warn(self, result: &str);
}
