//! TLS as a server speaks it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use thiserror::Error;

use super::identity::{CertifiedChain, Identity};
use super::{Current, Followed, IdentityFiles};
use crate::config::{Problems, Setting};
use crate::tasks::Tasks;

/// What a server shows to clients that need no certificate of their own.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// Its certificate, and any between it and an authority's (PEM).
    pub certificate: PathBuf,
    /// The certificate's private key (PEM).
    pub key: PathBuf,
}

/// Half a certificate was given; that is among the problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the certificate or its key is missing")]
pub struct Incomplete;

impl ServerCertificate {
    /// Certificate and key, or neither.
    pub fn from_settings(
        certificate: Setting<'_>,
        key: Setting<'_>,
        problems: &mut Problems,
    ) -> Result<Option<Self>, Incomplete> {
        let path = |text: &str| Ok(PathBuf::from(text));
        match (certificate.optional(problems, path), key.optional(problems, path)) {
            (Some(Some(certificate)), Some(Some(key))) => Ok(Some(Self { certificate, key })),
            (Some(None), Some(None)) => Ok(None),
            (found, _) => {
                let missing = if matches!(found, Some(None)) { certificate } else { key };
                missing.is_missing(
                    "it belongs to the other one of certificate and key; give both or none",
                    problems,
                );
                Err(Incomplete)
            }
        }
    }
}

/// How a server speaks TLS, read from its files and not followed yet.
pub enum TlsServer {
    /// To clients that an authority vouches for.
    ToPeers(Followed<ServerConfig, 3>),
    /// To any client.
    ToClients(Followed<ServerConfig, 2>),
}

impl TlsServer {
    /// To other services, which must show a certificate. Both ends are of one version: TLS 1.3.
    pub fn to_peers(files: &IdentityFiles) -> Result<Self, String> {
        let make = |contents| {
            let identity = Identity::of(contents)?;
            let roots = identity.authorities()?;
            let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[&TLS13])
                .map_err(|error| error.to_string())?;
            server(builder, &identity.chain, Some(roots))
        };
        Followed::load(files.paths(), make).map(Self::ToPeers)
    }

    /// To clients of every kind: TLS 1.2 as well.
    pub fn to_clients(files: &ServerCertificate) -> Result<Self, String> {
        let make = |[certificates, key]: [Result<Vec<u8>, String>; 2]| {
            let chain = CertifiedChain { certificates: certificates?, key: key? };
            let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[&TLS13, &TLS12])
                .map_err(|error| error.to_string())?;
            server(builder, &chain, None)
        };
        Followed::load([files.certificate.clone(), files.key.clone()], make).map(Self::ToClients)
    }

    /// Follows the files until the tasks stop.
    pub(crate) fn follow(self, tasks: &Tasks) -> Current<ServerConfig> {
        let what = "the server's certificate";
        match self {
            Self::ToPeers(followed) => followed.follow(what, tasks),
            Self::ToClients(followed) => followed.follow(what, tasks),
        }
    }
}

/// Asks clients for a certificate if there are authorities to vouch for them.
fn server(
    builder: ConfigBuilder<ServerConfig, WantsVerifier>,
    chain: &CertifiedChain,
    clients: Option<RootCertStore>,
) -> Result<ServerConfig, String> {
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let server = builder.with_single_cert(chain.certificates()?, chain.key()?);
    let mut server = server.map_err(|error| format!("the certificate can't be used: {error}"))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}
