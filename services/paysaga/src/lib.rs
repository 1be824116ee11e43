//! The operator's command: the saga on one machine, with PostgreSQL and RabbitMQ of its own.
//!
//! - [`infrastructure`]: private servers. The test kit uses it too.
//! - [`stack`]: the servers and the three services as one thing that starts, runs and stops.
//! - [`command`]: what can be typed, one file a subcommand.
//! - [`progress`], [`interrupts`]: what the person at the terminal sees and presses.

pub mod command;
pub mod infrastructure;
pub mod interrupts;
pub mod progress;
pub mod stack;
