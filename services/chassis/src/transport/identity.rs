//! A service's certificate, and the authorities that it believes.

use std::path::{Path, PathBuf};

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use reqwest::{Certificate, ClientBuilder};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The files of a service's identity, all PEM.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    /// Its certificate, and any between it and an authority's.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities that vouch for others.
    pub authorities: PathBuf,
}

/// What the files of an identity hold.
#[derive(Clone)]
pub struct Identity {
    /// The certificates and their key.
    pub(super) chain: CertifiedChain,
    authorities: Vec<u8>,
}

/// A certificate with those between it and an authority's, and its key, all PEM.
#[derive(Clone)]
pub(super) struct CertifiedChain {
    pub(super) certificates: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl IdentityFiles {
    /// What they hold now; each part is there, and can be understood.
    pub fn read(&self) -> Result<Identity, String> {
        Identity::of([&self.certificate, &self.key, &self.authorities].map(|path| read(path)))
    }

    /// The files, in the order that [`Identity::of`] takes what they hold.
    #[must_use]
    pub fn paths(&self) -> [PathBuf; 3] {
        [self.certificate.clone(), self.key.clone(), self.authorities.clone()]
    }
}

impl Identity {
    /// From the content of certificate, key and authorities.
    pub fn of([certificates, key, authorities]: [Result<Vec<u8>, String>; 3]) -> Result<Self, String> {
        let identity = Self {
            chain: CertifiedChain { certificates: certificates?, key: key? },
            authorities: authorities?,
        };
        identity.chain.certificates()?;
        identity.chain.key()?;
        identity.authorities()?;
        Ok(identity)
    }

    /// The authorities that vouch for others.
    pub(super) fn authorities(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities, "TLS_CA_FILE")? {
            roots.add(certificate).map_err(|error| format!("an authority in TLS_CA_FILE: {error}"))?;
        }
        Ok(roots)
    }

    /// Makes a client show its certificate, and believe its authorities alone.
    pub fn of_client(&self, client: ClientBuilder) -> Result<ClientBuilder, String> {
        let pem = [&*self.chain.certificates, b"\n", &*self.chain.key].concat();
        let identity = reqwest::Identity::from_pem(&pem).map_err(|error| error.to_string())?;
        let authorities =
            Certificate::from_pem_bundle(&self.authorities).map_err(|error| error.to_string())?;
        Ok(client.identity(identity).tls_certs_only(authorities))
    }

    /// The same for a connection to RabbitMQ, which believes the system's authorities too.
    pub(crate) fn of_amqp_connection(&self) -> Result<OwnedTLSConfig, String> {
        let authorities = String::from_utf8(self.authorities.clone()).map_err(|error| error.to_string())?;
        let CertifiedChain { certificates, key } = self.chain.clone();
        Ok(OwnedTLSConfig {
            identity: Some(OwnedIdentity::PKCS8 { pem: certificates, key }),
            cert_chain: Some(authorities),
        })
    }
}

impl CertifiedChain {
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        certificates(&self.certificates, "the certificate's file")
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| format!("the key's file holds no private key in PEM ({error})"))
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}

fn certificates(pem: &[u8], file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{file} holds no certificate in PEM")),
        Err(error) => Err(format!("{file} is no PEM: {error}")),
    }
}
