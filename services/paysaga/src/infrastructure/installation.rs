//! Where the programs of PostgreSQL, RabbitMQ and the system are, and how to install what is missing.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One set of installed programs. Everything that is started is looked up here, so that a second generation
/// of the servers in another root is another `Installation`, not another code path.
#[derive(Clone, Debug)]
pub struct Installation {
    root: PathBuf,
    search_path: Vec<PathBuf>,
}

/// The programs of a PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// Makes a data directory.
    pub initdb: PathBuf,
    /// The server itself.
    pub postgres: PathBuf,
}

/// The programs of a RabbitMQ node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RabbitMqPrograms {
    /// The script that becomes the node.
    pub server: PathBuf,
    /// The command that talks to a running node.
    pub ctl: PathBuf,
    /// The Erlang port mapper.
    pub epmd: PathBuf,
}

/// A program that is needed and not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} is not installed (looked for {program} in {places}); on Debian: apt-get install --no-install-recommends {package}"
)]
pub struct Missing {
    what: &'static str,
    program: &'static str,
    places: &'static str,
    package: &'static str,
}

impl Installation {
    /// What the running system offers: `PATH` and the folders in which distributions keep the servers.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let search_path =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        Self { root: PathBuf::from("/"), search_path }
    }

    /// PostgreSQL from `PATH`, else the newest of Debian's `/usr/lib/postgresql/*/bin`: Debian keeps the server
    /// off `PATH` because several generations may be installed side by side.
    pub fn postgres(&self) -> Result<PostgresPrograms, Missing> {
        let mut folders = self.search_path.clone();
        folders.extend(self.debian_postgres_folders());
        folders
            .iter()
            .map(|folder| PostgresPrograms {
                initdb: folder.join("initdb"),
                postgres: folder.join("postgres"),
            })
            .find(|programs| is_executable(&programs.initdb) && is_executable(&programs.postgres))
            .ok_or(Missing {
                what: "PostgreSQL",
                program: "initdb and postgres",
                places: "PATH and /usr/lib/postgresql/*/bin",
                package: "postgresql",
            })
    }

    /// RabbitMQ from Debian's own folder, else from `PATH`. The order matters: what Debian has on `PATH` is a
    /// wrapper that refuses ordinary users and, as root, changes to the system's `rabbitmq` account.
    pub fn rabbitmq(&self) -> Result<RabbitMqPrograms, Missing> {
        let missing = |program| Missing {
            what: "RabbitMQ",
            program,
            places: "/usr/lib/rabbitmq/bin and PATH",
            package: "rabbitmq-server",
        };
        let mut folders = vec![self.root.join("usr/lib/rabbitmq/bin")];
        folders.extend(self.search_path.clone());
        let (server, ctl) = folders
            .iter()
            .map(|folder| (folder.join("rabbitmq-server"), folder.join("rabbitmqctl")))
            .find(|(server, ctl)| is_executable(server) && is_executable(ctl))
            .ok_or_else(|| missing("rabbitmq-server and rabbitmqctl"))?;
        let epmd = self
            .on_path("epmd")
            .or_else(|| Some(self.root.join("usr/lib/erlang/bin/epmd")).filter(|epmd| is_executable(epmd)))
            .ok_or_else(|| missing("Erlang's epmd"))?;
        Ok(RabbitMqPrograms { server, ctl, epmd })
    }

    /// `setpriv` of util-linux: ties a child's life to ours and drops privileges without unsafe code.
    pub fn setpriv(&self) -> Result<PathBuf, Missing> {
        self.on_path("setpriv").ok_or(Missing {
            what: "setpriv",
            program: "setpriv",
            places: "PATH",
            package: "util-linux",
        })
    }

    /// The first executable of that name on the search path.
    #[must_use]
    pub fn on_path(&self, program: &str) -> Option<PathBuf> {
        self.search_path.iter().map(|folder| folder.join(program)).find(|candidate| is_executable(candidate))
    }

    /// `/usr/lib/postgresql/<generation>/bin`, newest first.
    fn debian_postgres_folders(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.root.join("usr/lib/postgresql")) else {
            return Vec::new();
        };
        let mut generations: Vec<(u32, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let generation = entry.file_name().to_str()?.parse().ok()?;
                Some((generation, entry.path().join("bin")))
            })
            .collect();
        generations.sort_unstable_by(|one, other| other.cmp(one));
        generations.into_iter().map(|(_, folder)| folder).collect()
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(programs: &[&str], path: &[&str]) -> (tempfile::TempDir, Installation) {
        let root = tempfile::tempdir().unwrap();
        for program in programs {
            let file = root.path().join(program);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let search_path = path.iter().map(|folder| root.path().join(folder)).collect();
        let installation = Installation { root: root.path().to_owned(), search_path };
        (root, installation)
    }

    #[test]
    fn the_newest_postgresql_of_debian_is_taken_by_number_not_by_spelling() {
        let (root, machine) = machine(
            &[
                "usr/lib/postgresql/9/bin/initdb",
                "usr/lib/postgresql/9/bin/postgres",
                "usr/lib/postgresql/17/bin/initdb",
                "usr/lib/postgresql/17/bin/postgres",
                "usr/lib/postgresql/common/bin/initdb",
            ],
            &["usr/bin"],
        );
        assert_eq!(
            machine.postgres().unwrap().postgres,
            root.path().join("usr/lib/postgresql/17/bin/postgres")
        );
    }

    #[test]
    fn postgresql_on_path_comes_before_debians_folders() {
        let (root, machine) = machine(
            &[
                "nix/bin/initdb",
                "nix/bin/postgres",
                "usr/lib/postgresql/15/bin/initdb",
                "usr/lib/postgresql/15/bin/postgres",
            ],
            &["nix/bin"],
        );
        assert_eq!(machine.postgres().unwrap().initdb, root.path().join("nix/bin/initdb"));
    }

    #[test]
    fn debians_wrapper_on_path_is_never_taken_for_the_server() {
        let (root, machine) = machine(
            &[
                "usr/sbin/rabbitmq-server",
                "usr/sbin/rabbitmqctl",
                "usr/lib/rabbitmq/bin/rabbitmq-server",
                "usr/lib/rabbitmq/bin/rabbitmqctl",
                "usr/bin/epmd",
            ],
            &["usr/sbin", "usr/bin"],
        );
        assert_eq!(
            machine.rabbitmq().unwrap().server,
            root.path().join("usr/lib/rabbitmq/bin/rabbitmq-server")
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let (_root, machine) = machine(&[], &["usr/bin"]);
        assert!(
            machine
                .postgres()
                .unwrap_err()
                .to_string()
                .ends_with("apt-get install --no-install-recommends postgresql")
        );
        let (_root, without_epmd) = self::machine(
            &["usr/lib/rabbitmq/bin/rabbitmq-server", "usr/lib/rabbitmq/bin/rabbitmqctl"],
            &["usr/bin"],
        );
        let message = without_epmd.rabbitmq().unwrap_err().to_string();
        assert!(message.contains("epmd") && message.ends_with("rabbitmq-server"), "{message}");
    }
}
