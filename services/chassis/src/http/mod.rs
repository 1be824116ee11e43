//! The HTTP side of a service: routes as warp's filters, served by hyper.
//!
//! `warp::serve` has no header-read timeout, no limit on connections and no deadline for its graceful shutdown
//! (a client that never finishes its request header holds it indefinitely), so the loop here is our own:
//!
//! ```text
//! server: accept → connection (limits, timeouts, TLS) → exchange: correlation id, span, caller → routes → metrics
//!                                                                                  handler → body, if it needs one
//! ```
//!
//! A client costs memory within bounds, whatever it does: nothing before its first byte, then buffers of a few kibibytes; a
//! body only once the caller is known, the route exists and its handler asks for it, within a bound for all of them
//! ([`Body`]); a response for as long as it takes to be read, which is short (`stream`); of one that lasts no more
//! than a part of it (`streamed`). A client that sends too slowly or does not read is cut off.
//!
//! A service declares its routes with [`route`], one line each; a handler is
//! `async fn(state, Request) -> Result<Response, Problem>`.

mod addresses;
mod body;
mod config;
mod connection;
mod context;
mod exchange;
mod gateway_only;
mod io;
mod linger;
mod listener;
mod management;
mod recent;
mod reply;
mod request;
mod routes;
mod server;
mod shared_reads;
mod stream;
mod streamed;
mod waiting;

pub use addresses::PerAddress;
pub use body::Body;
pub use config::{HttpConfig, HttpVariables};
pub use context::{Caller, CorrelationId, Unidentified};
pub use gateway_only::{GatewayOnly, GatewayOnlyVariables, token};
pub use management::metrics;
pub use recent::Recent;
pub use reply::{ReadyResponse, found, json, list, no_content, problem, with_next};
pub use request::{OWNER, Request, invalid_cursor};
pub use routes::{Route, Routes, route, template};
pub use server::{BindError, Server};
pub use shared_reads::{Owned, SharedReads, of_each_owner};
pub use streamed::streamed;
pub use warp::reply::Response;
