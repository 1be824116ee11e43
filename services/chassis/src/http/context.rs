//! What is known of a request before it is routed: request extensions.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use contracts::api_key::Scopes;
use contracts::{Owner, Problem, header};
use http::{HeaderMap, HeaderName};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use uuid::Uuid;

pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Joins everything that one request of a client causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelationId(pub Arc<str>);

impl CorrelationId {
    /// The client's, if it is a valid one; a new UUID otherwise.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
        match sent.and_then(header::correlation_id) {
            Some(id) => Self(id.into()),
            None => Self(Uuid::new_v4().to_string().into()),
        }
    }
}

/// Who sent the request, as [`Server::identify`](super::Server::identify) found out. Absent if the caller is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The caller's name, for the log and the audit. What the caller makes belongs to that name.
    pub name: Owner,
    /// What the caller may do.
    pub scopes: Arc<Scopes>,
    /// How many requests a second the caller's key allows, if it says so.
    pub rate: Option<NonZeroU32>,
    /// What names the caller's key, for the audit. No part of the key.
    pub key_id: Option<Arc<str>>,
    /// Where the request comes from.
    pub address: IpAddr,
}

/// A request of an unknown caller: how it is answered, and what is known for the audit. Absent where that is not asked.
#[derive(Clone, Debug)]
pub struct Unidentified {
    /// The answer.
    pub problem: Box<Problem>,
    /// What is wrong with the credentials, in a word.
    pub reason: &'static str,
    /// Whose key was presented, if it is known and not accepted.
    pub name: Option<Owner>,
    /// What names the key that was presented, if it was one.
    pub key_id: Option<Arc<str>>,
    /// Where the request comes from.
    pub address: IpAddr,
}

/// The certificate with which a client showed who it is, and for which one of the server's authorities vouches. Absent if it
/// showed none.
#[derive(Clone, Debug)]
pub(super) struct ClientCertificate(Arc<CertificateDer<'static>>);

impl ClientCertificate {
    pub(super) fn new(certificate: &CertificateDer<'_>) -> Self {
        Self(Arc::new(certificate.clone().into_owned()))
    }

    /// Whether it is one of this name (a subject alternative name of the kind DNS).
    pub(super) fn is_for(&self, name: &ServerName<'_>) -> bool {
        ParsedCertificate::try_from(&*self.0).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}
