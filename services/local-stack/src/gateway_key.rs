//! The API key of the private gateway: made once, and kept in the data directory for the operator.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::error::{Error, failed};
use crate::secret::{Password, write_private};

/// The caller whose key it is. It may do an operator's work.
pub(crate) const CALLER: &str = "operator";

/// The key, and the files that hold it.
#[derive(Clone, Debug)]
pub struct GatewayKey {
    key: Password,
    folder: PathBuf,
}

impl GatewayKey {
    /// The key that is kept in a folder, or a new one. The files that follow from it are written anew.
    pub fn load_or_create(folder: PathBuf) -> Result<Self, Error> {
        let key = Password::load_or_create(&folder.join("api-key"))?;
        let key = Self { key, folder };
        let digest = hex::encode(Sha256::digest(key.expose()));
        let files = [
            (key.digests_file(), format!("{CALLER}:{digest}\n")),
            (key.header_file(), format!("authorization: Bearer {}\n", key.expose())),
        ];
        for (file, content) in files {
            write_private(&file, &content).map_err(failed("write", &file))?;
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
    pub(crate) fn digests_file(&self) -> PathBuf {
        self.folder.join("api-keys")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_gateway_gets_the_digest_and_the_operator_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = GatewayKey::load_or_create(folder.path().to_owned()).unwrap();
        let digests = fs::read_to_string(key.digests_file()).unwrap();
        assert_eq!(digests, format!("operator:{}\n", hex::encode(Sha256::digest(key.expose()))));
        let header = fs::read_to_string(key.header_file()).unwrap();
        assert_eq!(header, format!("authorization: Bearer {}\n", key.expose()));
        assert!(!format!("{key:?}").contains(key.expose()));
        let again = GatewayKey::load_or_create(folder.path().to_owned()).unwrap();
        assert_eq!(again.expose(), key.expose());
    }
}
