//! The test kit: real servers, real services, and what a test needs to observe them from outside.
//!
//! ```text
//! infrastructure  one private PostgreSQL and RabbitMQ a test program
//! stack           one database a service, one virtual host and one set of services a test
//! programs        the programs under test
//! service         a service as a child process
//! api             the gateway, as a client sees it
//! api_keys        the keys that callers present
//! console         the operators' pages, as a browser without scripts sees them
//! event_source    a client of streams
//! raw_http        HTTP byte by byte
//! replays         messages that fail, and what becomes of replays
//! amqp            the broker, as another service sees it
//! statement_tap   what a service sends to PostgreSQL
//! terminal        the operator's command in a terminal
//! wire_tap        every message that is published on the broker
//! management      the broker's HTTP API
//! mute_order_service  one that can't tell what changes
//! nestjs          a stand-in for one of the services that paysaga replaces
//! provider        the simulated payment provider's books
//! otlp            a collector that keeps the spans it is sent
//! faults          the fault suite: what is broken, how, and what must hold afterwards
//! ```
//!
//! Everything is started by the test and stops when it ends, however it ends.

pub mod amqp;
pub mod api;
pub mod api_keys;
pub mod browser;
pub mod call;
pub mod console;
pub mod description;
pub mod event_source;
pub mod faults;
pub mod infrastructure;
pub mod management;
pub mod mute_order_service;
pub mod nestjs;
pub mod otlp;
pub mod programs;
pub mod provider;
pub mod raw_http;
pub mod replays;
pub mod service;
pub mod stack;
pub mod statement_tap;
pub mod terminal;
pub mod wire_tap;

use std::fmt::Display;
use std::time::{Duration, Instant};

pub use api::Api;
pub use stack::Stack;
pub use statement_tap::StatementTap;
pub use wire_tap::WireTap;

/// How long anything may take that a test waits for. Long, because the machine may be slow; no test measures it.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Polls until the probe succeeds; panics with `what` and the last error if it doesn't in time.
pub async fn eventually<T, E: Display>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) if Instant::now() > deadline => panic!("{what}: {reason}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
