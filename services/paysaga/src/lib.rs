//! The operator's command: the saga on one machine, with PostgreSQL and RabbitMQ of its own, and what can be shown,
//! measured and done with a running one.
//!
//! - [`infrastructure`]: private servers. The test kit uses it too.
//! - [`stack`]: the servers and the three services as one thing that starts, runs and stops.
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
pub mod infrastructure;
pub mod interrupts;
pub mod progress;
pub mod stack;
pub mod table;
