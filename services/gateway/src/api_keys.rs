//! The file of API keys.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// API keys: the caller's name and the key's SHA-256 digest.
pub struct ApiKeys(Vec<(Arc<str>, [u8; 32])>);

impl ApiKeys {
    /// Reads a file with one key or more.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("can't be read: {error}"))?;
        let keys = Self::parse(&text)?;
        if keys.0.is_empty() { Err("holds no key".to_owned()) } else { Ok(keys) }
    }

    /// Reads `name:sha256-of-key` lines. Empty lines and lines that begin with `#` are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The message does not repeat the line: it may hold a key instead of a digest by mistake.
            let wrong = || format!("line {} must be name:sha256-of-key, 64 hexadecimal digits", number + 1);
            let (name, digest) = line.split_once(':').ok_or_else(wrong)?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(digest.trim(), &mut bytes).map_err(|_| wrong())?;
            if name.trim().is_empty() {
                return Err(wrong());
            }
            keys.push((name.trim().into(), bytes));
        }
        Ok(Self(keys))
    }

    /// How many keys there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The name of the caller whose key this is. Compares with every key in constant time.
    pub(crate) fn find(&self, key: &str) -> Option<Arc<str>> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        for (name, known) in &self.0 {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(Arc::clone(name));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf key | sha256sum`
    const DIGEST_OF_KEY: &str = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

    #[test]
    fn a_key_is_known_by_its_digest() {
        let keys = ApiKeys::parse(&format!("# shops\n\nshop:{DIGEST_OF_KEY}\n")).unwrap();
        assert_eq!(keys.find("key").as_deref(), Some("shop"));
        assert_eq!(keys.find("Key"), None);
        assert_eq!(keys.find(""), None);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_not_shown() {
        for text in ["shop", "shop:my-secret-key", ":0000", &format!(":{DIGEST_OF_KEY}")] {
            let reason = ApiKeys::parse(&format!("# keys\n{text}")).err().unwrap();
            assert!(reason.starts_with("line 2 must be"), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
