//! What a service is told about its connections.

use std::path::PathBuf;

use super::{IdentityFiles, Plaintext};
use crate::config::{Environment, Problems};

crate::variables! {
    /// How a service's connections are protected.
    pub struct TransportVariables {
        /// The service's certificate, and any between it and an authority's (PEM). With this and the next two, the services speak TLS with each other and know each other by their certificates, and RabbitMQ may know them likewise. All three are read again when they change.
        tls_certificate_file,
        /// The certificate's private key (PEM).
        tls_key_file,
        /// The authorities that vouch for the other services and for RabbitMQ (PEM).
        tls_ca_file,
        /// What may go beyond loopback in plain text: `amqp`, `http`, `postgres`, separated by commas. Nothing unless set.
        allow_plaintext,
    }
}

/// How a service's connections are protected.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// How it shows who it is, and knows others, if it does.
    pub identity: Option<IdentityFiles>,
    /// What may go beyond loopback in plain text.
    pub plaintext: Plaintext,
}

impl Transport {
    /// Reads [`TransportVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: TransportVariables = environment.read(problems)?;
        let path = |text: &str| Ok(PathBuf::from(text));
        let certificate = variables.tls_certificate_file().optional(problems, path)?;
        let key = variables.tls_key_file().optional(problems, path)?;
        let authorities = variables.tls_ca_file().optional(problems, path)?;
        let plaintext = variables.allow_plaintext().optional(problems, str::parse)?.unwrap_or_default();
        let identity = match (certificate, key, authorities) {
            (None, None, None) => None,
            (Some(certificate), Some(key), Some(authorities)) => {
                let files = IdentityFiles { certificate, key, authorities };
                if let Err(reason) = files.read() {
                    problems.add("TLS_CERTIFICATE_FILE", reason);
                    return None;
                }
                Some(files)
            }
            _ => {
                let rule =
                    "TLS_CERTIFICATE_FILE, TLS_KEY_FILE and TLS_CA_FILE belong together; give all or none";
                problems.add("TLS_CERTIFICATE_FILE", rule);
                return None;
            }
        };
        Some(Self { identity, plaintext })
    }
}
