//! HTTP clients.

use local_stack::http::{ClientError, plain_builder};
use reqwest::{Client, ClientBuilder};
use rustls::crypto::ring;

/// Makes clients. Certificates are read for HTTPS only: a machine that has none can still reach a server by plain HTTP.
pub(crate) fn builder(is_encrypted: bool) -> Result<ClientBuilder, ClientError> {
    if !is_encrypted {
        return plain_builder();
    }
    // reqwest is built without a TLS provider of its own. Where one is installed already, this changes nothing.
    ring::default_provider().install_default().ok();
    Ok(Client::builder().no_proxy())
}
