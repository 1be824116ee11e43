//! The API key of the private gateway: made once, and kept in the data directory for the operator.

use std::path::{Path, PathBuf};

use contracts::api_key::{KeyDigest, KeyKind, KnownKey, NewKey, Scope};
use contracts::{Owner, Timestamp};

use crate::error::{Error, failed};
use crate::secret::{Password, write_private};

/// The key, and the files that hold it.
#[derive(Clone, Debug)]
pub struct GatewayKey {
    key: Password,
    folder: PathBuf,
}

impl GatewayKey {
    /// The key that is kept in a folder, or a new one.
    pub fn load_or_create(folder: PathBuf) -> Result<Self, Error> {
        let new = || NewKey::new(KeyKind::Test, rand::random()).expose().to_owned();
        let key = Password::load_or_create_as(&folder.join("api-key"), new)?;
        let key = Self { key, folder };
        let header = format!("authorization: Bearer {}\n", key.expose());
        write_private(&key.header_file(), &header).map_err(failed("write", &key.header_file()))?;
        let keys = key.keys_file();
        // Only once: a key that was revoked is not to come back.
        if !keys.exists() {
            write_private(&keys, &format!("{}\n", key.known())).map_err(failed("write", &keys))?;
        }
        Ok(key)
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.key.expose()
    }

    /// The file that holds the header with the key, as curl takes it: `curl -H @FILE`.
    #[must_use]
    pub fn header_file(&self) -> PathBuf {
        self.folder.join("authorization")
    }

    /// The gateway's `API_KEYS_FILE`.
    pub(crate) fn keys_file(&self) -> PathBuf {
        keys_file(&self.folder)
    }

    /// The key as the gateway knows it.
    fn known(&self) -> KnownKey {
        KnownKey {
            caller: Owner::operator(),
            digest: KeyDigest::of(self.expose()),
            scopes: Scope::of_operator(),
            expires: None,
            from: Vec::new(),
            rate: None,
            created: Some(Timestamp::now()),
        }
    }
}

/// The file of the keys that a gateway knows, in the gateway's folder of a data directory.
#[must_use]
pub fn keys_file(folder: &Path) -> PathBuf {
    folder.join("api-keys")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use contracts::api_key::keys_of;

    use super::*;

    #[test]
    fn the_gateway_gets_the_digest_and_the_operator_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = GatewayKey::load_or_create(folder.path().to_owned()).unwrap();
        let known = || keys_of(&fs::read_to_string(key.keys_file()).unwrap()).unwrap();
        assert_eq!(known()[0].as_ref().unwrap().digest, KeyDigest::of(key.expose()));
        let header = fs::read_to_string(key.header_file()).unwrap();
        assert_eq!(header, format!("authorization: Bearer {}\n", key.expose()));
        assert!(!format!("{key:?}").contains(key.expose()));

        // It is not added again once it was revoked.
        fs::write(key.keys_file(), "# none\n").unwrap();
        let again = GatewayKey::load_or_create(folder.path().to_owned()).unwrap();
        assert_eq!(again.expose(), key.expose());
        assert_eq!(known(), [None]);
    }
}
