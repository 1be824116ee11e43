//! The account PostgreSQL runs under when we are root: it refuses to be root itself.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

/// A user and group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// User id.
    pub(crate) user: u32,
    /// Group id.
    pub(crate) group: u32,
}

impl Account {
    /// `nobody` when we run as root; `None` otherwise: an ordinary user's PostgreSQL runs as that user.
    pub(crate) fn without_privileges() -> Option<Self> {
        is_root().then(|| Self::nobody_in(&fs::read_to_string("/etc/passwd").unwrap_or_default()))
    }

    /// Makes this account the owner of a file or directory.
    pub(crate) fn make_owner_of(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.user), Some(self.group))
    }

    fn nobody_in(passwd: &str) -> Self {
        // The kernel's own overflow ids, which every distribution gives to `nobody`.
        const NOBODY: Account = Account { user: 65_534, group: 65_534 };
        passwd
            .lines()
            .find_map(|line| {
                let mut fields = line.split(':');
                (fields.next() == Some("nobody")).then_some(())?;
                let user = fields.nth(1)?.parse().ok()?;
                let group = fields.next()?.parse().ok()?;
                Some(Self { user, group })
            })
            .unwrap_or(NOBODY)
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_found_by_name_and_has_default_ids() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:99:98:nobody:/:/sbin/nologin\n";
        assert_eq!(Account::nobody_in(passwd), Account { user: 99, group: 98 });
        assert_eq!(Account::nobody_in("root:x:0:0::/root:/bin/sh"), Account { user: 65_534, group: 65_534 });
    }
}
