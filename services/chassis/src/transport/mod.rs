//! How connections are protected, and who is at their other end.
//!
//! ```text
//! TLS_CERTIFICATE_FILE, TLS_KEY_FILE, TLS_CA_FILE → identity ─┬→ a server that asks its clients for certificates
//!                                                             ├→ the gateway's client of the other services
//!                                                             └→ RabbitMQ
//! HTTPS_CERTIFICATE_FILE, HTTPS_KEY_FILE → a server for any client
//! ALLOW_PLAINTEXT → what may go beyond loopback without TLS
//! ```
//!
//! Certificates are read again when their files change ([`Followed`]); connections that are open stay as they are.

mod config;
mod followed;
mod identity;
mod plaintext;
mod server;

pub use config::{Transport, TransportVariables};
pub use followed::{Current, Followed};
pub use identity::{Identity, IdentityFiles};
pub use plaintext::{Plaintext, Protocol, is_loopback};
pub use server::{Incomplete, ServerCertificate, TlsServer};
