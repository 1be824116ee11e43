//! A small certificate authority: the certificates with which services, RabbitMQ and PostgreSQL know each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use local_stack::secret::write_private;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use strum::{Display, EnumString, VariantArray};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

/// How long the authority's own certificate is valid.
const AUTHORITY: Duration = Duration::days(3650);

/// How far clocks may be apart.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// Who gets a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Holder {
    /// The gateway, as order, payment and RabbitMQ know it.
    Gateway,
    /// The order service.
    Order,
    /// The payment service.
    Payment,
    /// RabbitMQ.
    RabbitMq,
    /// PostgreSQL.
    PostgreSql,
    /// The gateway, as its clients know it.
    Https,
}

impl Holder {
    /// The name in the certificate, which RabbitMQ takes for that of its user (`ssl_cert_login_from = common_name`).
    fn common_name(self) -> String {
        format!("paysaga-{self}")
    }

    /// Whether it connects to others, or is connected to, with it.
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        match self {
            Self::Gateway => vec![ClientAuth],
            Self::Order | Self::Payment => vec![ServerAuth, ClientAuth],
            Self::RabbitMq | Self::PostgreSql | Self::Https => vec![ServerAuth],
        }
    }

    /// The file of its certificate in a folder.
    #[must_use]
    pub fn certificate(self, folder: &Path) -> PathBuf {
        folder.join(format!("{self}.pem"))
    }

    /// The file of its private key in a folder.
    #[must_use]
    pub fn key(self, folder: &Path) -> PathBuf {
        folder.join(format!("{self}-key.pem"))
    }
}

/// The file of the authority's certificate in a folder.
#[must_use]
pub fn authority_file(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// Certificates can't be made.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A name or a key is not one that a certificate can have.
    #[error("{what}: {source}")]
    Certificate {
        /// The certificate.
        what: String,
        /// What is wrong with it.
        source: rcgen::Error,
    },
}

/// An authority, kept in a folder with what it has issued.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The one that is in the folder, or a new one; whether it is new.
    pub fn open(folder: &Path) -> Result<(Self, bool), PkiError> {
        let (certificate_file, key_file) = (authority_file(folder), folder.join("ca-key.pem"));
        let is_new = !key_file.exists();
        if is_new {
            fs::create_dir_all(folder).map_err(file(folder))?;
            let key = KeyPair::generate().map_err(certificate("ca"))?;
            let made = authority_params().self_signed(&key).map_err(certificate("ca"))?;
            write_certificate(&certificate_file, &made.pem())?;
            // Last: with the key, the authority is there.
            write_private(&key_file, &key.serialize_pem()).map_err(file(&key_file))?;
        }
        let read = |path: &Path| fs::read_to_string(path).map_err(file(path));
        let key = KeyPair::from_pem(&read(&key_file)?).map_err(certificate("ca"))?;
        let issuer = Issuer::from_ca_cert_pem(&read(&certificate_file)?, key).map_err(certificate("ca"))?;
        Ok((Self { folder: folder.to_owned(), issuer }, is_new))
    }

    /// Makes a new certificate with a new key for this holder, for this machine and for more host names and addresses, and puts
    /// both in place of those that are there.
    pub fn issue(&self, holder: Holder, hosts: &[String], valid: Duration) -> Result<(), PkiError> {
        let name = holder.to_string();
        let failed = || certificate(&name);
        let key = KeyPair::generate().map_err(failed())?;
        // The name by which order and payment know the gateway is for it alone.
        let own = [name.as_str(), "localhost", "127.0.0.1", "::1"];
        let names: Vec<String> = own.into_iter().map(str::to_owned).chain(hosts.iter().cloned()).collect();
        let mut params = CertificateParams::new(names).map_err(failed())?;
        params.distinguished_name.push(DnType::CommonName, holder.common_name());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = holder.purposes();
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity(valid);
        let made = params.signed_by(&key, &self.issuer).map_err(failed())?;
        let (certificate_file, key_file) = (holder.certificate(&self.folder), holder.key(&self.folder));
        write_private(&key_file, &key.serialize_pem()).map_err(file(&key_file))?;
        write_certificate(&certificate_file, &made.pem())
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "paysaga");
    // It vouches for holders, and for no further authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(AUTHORITY);
    params
}

fn validity(valid: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - CLOCK_SKEW, now + valid)
}

/// Readable by all, and written in one step, as the services read it again when it changes.
fn write_certificate(path: &Path, pem: &str) -> Result<(), PkiError> {
    let written = path.with_extension("pem.new");
    fs::write(&written, pem).and_then(|()| fs::rename(&written, path)).map_err(file(path))
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> PkiError {
    move |source| PkiError::File { path: path.to_owned(), source }
}

fn certificate(what: &str) -> impl FnOnce(rcgen::Error) -> PkiError {
    move |source| PkiError::Certificate { what: what.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_for_their_owner_alone_and_the_authority_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (authority, is_new) = Authority::open(folder).unwrap();
        assert!(is_new);
        authority.issue(Holder::Order, &["order.example".to_owned()], Duration::days(1)).unwrap();
        let first = fs::read_to_string(Holder::Order.certificate(folder)).unwrap();
        for name in ["ca-key.pem", "order-key.pem"] {
            let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }

        let ca = fs::read_to_string(authority_file(folder)).unwrap();
        let (again, is_new) = Authority::open(folder).unwrap();
        assert!(!is_new);
        again.issue(Holder::Order, &[], Duration::days(1)).unwrap();
        assert_eq!(fs::read_to_string(authority_file(folder)).unwrap(), ca);
        assert_ne!(fs::read_to_string(Holder::Order.certificate(folder)).unwrap(), first);
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (authority, _) = Authority::open(folder.path()).unwrap();
        let told = authority.issue(Holder::Https, &["sh\u{f6}p".to_owned()], Duration::days(1)).unwrap_err();
        assert!(told.to_string().starts_with("https: "), "{told}");
    }
}
