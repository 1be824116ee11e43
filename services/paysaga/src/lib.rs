//! The operator's command: starts the saga on one machine ([`local_stack`]), shows and measures a running one, audits it,
//! and handles its failed messages.
//!
//! - [`gateway`]: a client of the gateway.
//! - [`jaeger`]: a client of Jaeger.
//! - [`saga`]: one order, step by step.
//! - [`demo`], [`mod@bench`]: orders of every kind, followed until they settle; many orders, measured.
//! - [`audit`]: checks the invariants on live data.
//! - [`key_file`]: the gateway's file of API keys.
//! - [`privacy`]: what is kept about a customer, and its erasure.
//! - [`top`]: the overview in a terminal.
//! - [`forced_outcome`]: totals that tell the simulated provider what to do.
//! - [`command`]: the command line, one file a subcommand.
//! - [`output`], [`progress`], [`table`]: the terminal.

pub mod audit;
pub mod bench;
pub mod command;
pub mod demo;
pub mod forced_outcome;
pub mod gateway;
mod http_client;
pub mod jaeger;
pub mod key_file;
pub mod output;
pub mod pki;
pub mod privacy;
pub mod progress;
pub mod saga;
pub mod table;
pub mod top;
