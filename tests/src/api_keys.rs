//! API keys of two callers, and a file of keys for a gateway.

use std::path::PathBuf;

use tempfile::TempDir;

/// An API key.
#[derive(Clone, Copy)]
pub struct Key {
    /// What the caller presents.
    pub secret: &'static str,
    /// What the gateway's file holds: the caller's name and the key's digest (`printf key-of-shop | sha256sum`).
    pub line: &'static str,
}

/// The key of the caller `shop`.
pub const SHOP: Key = Key {
    secret: "key-of-shop",
    line: "shop:625ec9a8bfc54cc62de07d58b187d9e967e1fbcaa61cf9acd03ce7995c261a8d",
};

/// The key of the caller `app`.
pub const APP: Key = Key {
    secret: "key-of-app",
    line: "app:ea15307d5014284174761b842f9352a857a93a3b2df3f23b69ac21d8b24ee805",
};

/// The key of the caller `operator`, who may see and do everything.
pub const OPERATOR: Key = Key {
    secret: "key-of-operator",
    line: "operator:80b667cb640b631e93bd689858ddff7620372c82820a34b2b987455b4e56aeb9 \
           scopes=orders:read,orders:write,payments:read,statistics,admin:read,admin:write",
};

impl Key {
    /// The line of the key with attributes such as `scopes=orders:read`.
    #[must_use]
    pub fn with(&self, attributes: &str) -> String {
        format!("{} {attributes}", self.line)
    }
}

/// A file of API keys.
pub struct KeyFile(TempDir);

impl KeyFile {
    /// A file of these keys.
    #[must_use]
    pub fn of(keys: &[Key]) -> Self {
        let file = Self(TempDir::with_prefix("paysaga-keys-").expect("there is room for a file"));
        file.write(&keys.iter().map(|key| key.line).collect::<Vec<_>>());
        file
    }

    /// Replaces the lines of the file, all at once: a gateway that reads it meanwhile finds no half of them.
    pub fn write(&self, lines: &[impl AsRef<str>]) {
        let lines: Vec<_> = lines.iter().map(AsRef::as_ref).collect();
        let new = self.file("keys.new", &lines.join("\n"));
        std::fs::rename(new, self.path()).expect("the file can be replaced");
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        text(self.0.path().join("keys"))
    }

    /// The path of a file beside it that holds a key, as callers keep it.
    #[must_use]
    pub fn secret_of(&self, key: Key) -> String {
        self.file("secret", key.secret)
    }

    /// The path of a file beside it that holds the header with a key, as curl takes it (`-H @FILE`).
    #[must_use]
    pub fn header_of(&self, key: Key) -> String {
        self.file("header", &format!("authorization: Bearer {}\n", key.secret))
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("the file can be written");
        text(path)
    }
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("a path of text")
}
