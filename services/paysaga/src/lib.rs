//! The operator's command: starts the saga on one machine ([`local_stack`]), shows and measures a running one, audits it,
//! and handles its failed messages.
//!
//! - [`gateway`]: a client of the gateway.
//! - [`demo`], [`mod@bench`]: orders of every kind, followed to their ends; orders in numbers, measured.
//! - [`audit`]: what of the invariants does not hold on live data.
//! - [`forced_outcome`]: totals that tell the simulated provider what to do.
//! - [`command`]: what can be typed, one file a subcommand.
//! - [`progress`], [`table`], [`interrupts`]: what the person at the terminal sees and presses.

pub mod audit;
pub mod bench;
pub mod command;
pub mod demo;
pub mod forced_outcome;
pub mod gateway;
pub mod interrupts;
pub mod progress;
pub mod table;
