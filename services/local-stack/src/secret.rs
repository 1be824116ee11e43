//! Passwords of the private servers: random, one file each, readable by their owner only.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, failed};

/// A password. It never shows in debug output; only [`Password::expose`] gives it away.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// The password kept in `file`, or a new random one (256 bits, hexadecimal), which is then kept there.
    pub fn load_or_create(file: &Path) -> Result<Self, Error> {
        Self::load_or_create_as(file, || hex::encode(rand::random::<[u8; 32]>()))
    }

    /// The same for a new one that is made otherwise.
    pub(crate) fn load_or_create_as(file: &Path, new: impl FnOnce() -> String) -> Result<Self, Error> {
        match Self::load(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(file, new()),
            loaded => loaded,
        }
        .map_err(failed("keep a password in", file))
    }

    fn load(file: &Path) -> io::Result<Self> {
        Ok(Self(fs::read_to_string(file)?.trim_end().to_owned()))
    }

    fn create(file: &Path, password: String) -> io::Result<Self> {
        write_private(file, &format!("{password}\n"))?;
        Ok(Self(password))
    }

    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Writes a file with mode 0600 in one step: a crash leaves the old content or the new, never half of it.
pub fn write_private(file: &Path, content: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    written.write_all(content.as_bytes())?;
    written.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let first = Password::load_or_create(&file).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert_eq!(Password::load_or_create(&file).unwrap(), first);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn debug_output_holds_no_password() {
        let password = Password("hunter2".to_owned());
        assert!(!format!("{password:?}").contains("hunter2"));
    }
}
