//! The fault suite: the real services under load, something that breaks, and what must hold afterwards.
//!
//! ```text
//! servers    the PostgreSQL and RabbitMQ of the run: stopped, killed, restarted
//! rig        databases, virtual host, relays and services of one scenario
//! launch     starting and stopping the services
//! load       customers that place and cancel orders, and retry as a good client does (customer)
//! relay      a network that delays, resets, half-closes, refuses, stalls
//! remote_host  a machine at the end of a cable that can be pulled
//! interceptor  copies, repeats or reorders every message on the broker
//! oracle     waits until everything is at rest, and counts what must not be
//! scenarios  one module a kind of fault; the list of all of them
//! run        runs scenarios one after the other
//! table      the results
//! report     the page docs/FAULTS.md
//! ```
//!
//! A scenario starts what it needs on a [`rig::Rig`], begins the [`load`], breaks something, notes when the fault is
//! over, and asks the [`oracle`]. Everything random is drawn from the run's seed.

mod calm;
mod customer;
pub mod interceptor;
pub mod launch;
pub mod load;
pub mod oracle;
pub mod relay;
pub mod remote_host;
pub mod report;
pub mod rig;
pub mod run;
pub mod scenarios;
pub mod servers;
pub mod table;
