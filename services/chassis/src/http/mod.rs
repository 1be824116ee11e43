//! The HTTP side of a service: warp's filters, served by hyper.
//!
//! `warp::serve` has no header-read timeout, no limit on connections and no deadline for its graceful shutdown
//! (a client that never finishes its request header holds it for ever), so the loop here is our own:
//!
//! ```text
//! server: accept → connection (limits, timeouts) → exchange: correlation id, span, body → warp filters → metrics
//! ```

mod config;
mod endpoints;
mod exchange;
mod reply;
mod request;
mod routes;
mod server;

pub use config::{HttpConfig, HttpVariables};
pub use endpoints::{HEALTH, health, metrics};
pub use exchange::{CorrelationId, PeerAddr};
pub use reply::{database_problem, found, json, problem};
pub use request::{id, page_request, query_string};
pub use routes::{Matched, RouteTable, with_fallback};
pub use server::{BindError, Server};
