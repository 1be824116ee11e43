//! The API key.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;

/// An API key. It never shows in debug output.
#[derive(Clone)]
pub struct ApiKey(HeaderValue);

/// A file holds no API key.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// It can't be read.
    #[error("cannot read the API key in {file}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{0} must hold one API key: visible ASCII characters on one line")]
    NotAKey(PathBuf),
}

impl ApiKey {
    /// Reads a file that holds nothing but the key.
    pub fn read(file: &Path) -> Result<Self, ApiKeyError> {
        let text = fs::read_to_string(file)
            .map_err(|source| ApiKeyError::Unreadable { file: file.to_owned(), source })?;
        Self::parse(text.trim()).ok_or_else(|| ApiKeyError::NotAKey(file.to_owned()))
    }

    /// An API key as its text; `None` if it can't be one.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_key)?;
        bearer.set_sensitive(true);
        Some(Self(bearer))
    }

    /// The value of the `Authorization` header (RFC 6750 §2.1).
    pub(super) fn bearer(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "hunter2\n").unwrap();
        let key = ApiKey::read(&file).unwrap();
        assert_eq!(key.bearer(), "Bearer hunter2");
        assert!(!format!("{key:?} {:?}", key.bearer()).contains("hunter2"));
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for content in ["", "\n", "two words", "shop:1\nother:2\n", "ключ"] {
            fs::write(&file, content).unwrap();
            assert!(matches!(ApiKey::read(&file), Err(ApiKeyError::NotAKey(_))), "{content}");
        }
        let error = ApiKey::read(Path::new("/nowhere/key")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the API key in /nowhere/key"), "{error}");
    }
}
