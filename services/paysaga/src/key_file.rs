//! The gateway's file of API keys, as the operator changes it. Comments and the order of lines stay.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use contracts::Timestamp;
use contracts::api_key::{InvalidLine, KnownKey, keys_of};

/// A file of keys. No other `paysaga key` changes it until this value is dropped.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    lines: Vec<Line>,
    // Of the folder: the file itself is replaced.
    _lock: File,
}

#[derive(Debug)]
struct Line {
    text: String,
    key: Option<KnownKey>,
}

/// A file of keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It can't be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It has a mistake.
    #[error("{path}: {source}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Which mistake.
        source: InvalidLine,
    },
}

/// Which keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one with this id.
    Id(&'a str),
    /// All of a caller.
    Caller(&'a str),
}

impl Which<'_> {
    fn is(self, key: &KnownKey) -> bool {
        match self {
            Self::Id(id) => key.digest.id() == id,
            Self::Caller(caller) => key.caller.as_str() == caller,
        }
    }
}

impl KeyFile {
    /// Reads a file; one that does not exist holds no key.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::File { path: path.to_owned(), source };
        let lock = File::open(folder_of(path)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let keys =
            keys_of(&text).map_err(|source| KeyFileError::Invalid { path: path.to_owned(), source })?;
        let lines = text.lines().zip(keys).map(|(text, key)| Line { text: text.to_owned(), key }).collect();
        Ok(Self { path: path.to_owned(), lines, _lock: lock })
    }

    /// The keys, in the order of their lines.
    pub fn keys(&self) -> impl Iterator<Item = &KnownKey> {
        self.lines.iter().filter_map(|line| line.key.as_ref())
    }

    /// Adds a key.
    pub fn add(&mut self, key: KnownKey) {
        self.lines.push(Line::of(key));
    }

    /// Lets keys expire at this time, if they don't do so before. Returns how many there are.
    pub fn expire(&mut self, which: Which<'_>, at: Timestamp) -> usize {
        let mut count = 0;
        for line in &mut self.lines {
            if let Some(key) = line.key.take_if(|key| which.is(key)) {
                let expires = key.expires.map_or(at, |expires| expires.min(at));
                *line = Line::of(KnownKey { expires: Some(expires), ..key });
                count += 1;
            }
        }
        count
    }

    /// Removes keys. Returns how many there were.
    pub fn remove(&mut self, which: Which<'_>) -> usize {
        let before = self.lines.len();
        self.lines.retain(|line| !line.key.as_ref().is_some_and(|key| which.is(key)));
        before - self.lines.len()
    }

    /// Writes the file in one step, with the owner and the mode that it has: a gateway never reads half of it.
    pub fn save(&self) -> Result<(), KeyFileError> {
        self.write().map_err(|source| KeyFileError::File { path: self.path.clone(), source })
    }

    fn write(&self) -> io::Result<()> {
        let mut written = tempfile::NamedTempFile::new_in(folder_of(&self.path))?;
        for line in &self.lines {
            writeln!(written, "{}", line.text)?;
        }
        if let Ok(before) = fs::metadata(&self.path) {
            chown(written.path(), Some(before.uid()), Some(before.gid()))?;
            fs::set_permissions(written.path(), before.permissions())?;
        }
        written.as_file().sync_all()?;
        written.persist(&self.path)?;
        Ok(())
    }
}

impl Line {
    fn of(key: KnownKey) -> Self {
        Self { text: key.to_string(), key: Some(key) }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use contracts::api_key::KeyDigest;

    use super::*;

    const KEYS: &str = "# shops\nshop:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683\n\n";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_not_changed_stays_as_it_was() {
        let (_folder, path) = file(KEYS);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut keys = KeyFile::open(&path).unwrap();
        let app: KnownKey = format!("app:{}", KeyDigest::of("app")).parse().unwrap();
        keys.add(app.clone());
        keys.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{KEYS}{app}\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_key_is_found_by_its_id_or_its_caller() {
        let (_folder, path) = file(KEYS);
        let mut keys = KeyFile::open(&path).unwrap();
        assert_eq!(keys.remove(Which::Id("00000000")) + keys.remove(Which::Caller("app")), 0);
        let soon = "2030-01-01T00:00:00.000Z".parse().unwrap();
        assert_eq!(keys.expire(Which::Id("2c70e12b"), soon), 1);
        assert_eq!(keys.expire(Which::Caller("shop"), "2040-01-01T00:00:00Z".parse().unwrap()), 1);
        assert_eq!(keys.keys().next().unwrap().expires, Some(soon), "it does not become later");
        assert_eq!(keys.remove(Which::Caller("shop")), 1);
        keys.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# shops\n\n");
    }

    #[test]
    fn a_file_that_does_not_exist_holds_no_key_and_a_wrong_one_is_named() {
        let (folder, path) = file("shop\n");
        let error = KeyFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("keys: line 1 must be"), "{error}");
        assert_eq!(KeyFile::open(&folder.path().join("none")).unwrap().keys().count(), 0);
    }
}
