//! What a private server needs to speak TLS.

use std::path::PathBuf;

/// The files of a server, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Its certificate.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities that vouch for its clients.
    pub authorities: PathBuf,
}
