//! HTTP clients.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The HTTP client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS can't be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The rest can't.
    #[error("cannot set up the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// A client for plain HTTP on the loopback address, without a proxy, with a deadline of 5 s for an answer.
pub fn client() -> Result<Client, ClientError> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    Ok(plain_builder()?.timeout(TIMEOUT).build()?)
}

/// Makes clients for plain HTTP, without a proxy. They need no certificates on this machine.
pub fn plain_builder() -> Result<ClientBuilder, ClientError> {
    // reqwest wants a TLS set-up even for plain HTTP, and takes the process-wide one unless it is given its own.
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(Client::builder().tls_backend_preconfigured(tls).no_proxy())
}

/// A name as one segment of a URL's path: `/` becomes `%2F`.
#[must_use]
pub fn path_segment(name: &str) -> String {
    let Ok(mut url) = Url::parse("http://localhost") else {
        return name.to_owned();
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(name);
    }
    url.path().trim_start_matches('/').to_owned()
}
