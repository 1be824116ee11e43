//! The HTTP side of a service: routes as warp's filters, served by hyper.
//!
//! `warp::serve` has no header-read timeout, no limit on connections and no deadline for its graceful shutdown
//! (a client that never finishes its request header holds it indefinitely), so the loop here is our own:
//!
//! ```text
//! server: accept → connection (limits, timeouts) → exchange: correlation id, span, body, caller → routes → metrics
//! ```
//!
//! A service declares its routes with [`route`], one line each; a handler is
//! `async fn(state, Request) -> Result<Response, Problem>`.

mod config;
mod context;
mod endpoints;
mod exchange;
mod reply;
mod request;
mod routes;
mod server;

pub use config::{HttpConfig, HttpVariables};
pub use context::{Caller, CorrelationId, PeerAddr};
pub use endpoints::metrics;
pub use reply::{found, json, problem, with_next};
pub use request::Request;
pub use routes::{Matched, Route, Routes, route};
pub use server::{BindError, Server};
pub use warp::reply::Response;
