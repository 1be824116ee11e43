//! Where the programs of PostgreSQL, RabbitMQ and the system are, and how to install what is missing.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::account;

/// Puts the `/usr` of another system, the first argument, in the place of this machine's and becomes the rest.
const WITH_OTHER_USR: &str = r#"mount --bind "$0" /usr && exec "$@""#;

/// One set of installed programs. Everything that is started is looked up here, so that another generation of the
/// servers is another `Installation`, not another code path.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The system whose `/usr` holds the programs; `/` is this machine.
    root: PathBuf,
    /// As what is started sees it, like every path of a program.
    search_path: Vec<PathBuf>,
}

/// Another system's programs can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// It is not there.
    #[error("{0} holds no system with a /usr; ./dev generation-2 makes one in ~/.cache/paysaga/generation-2")]
    NoSystem(PathBuf),
    /// Only root may mount.
    #[error("programs of another system ({0}) can be started by root only")]
    NotRoot(PathBuf),
    /// The programs would not find their libraries.
    #[error(
        "programs of another system need a machine whose /bin and /lib lie in /usr, and this one's don't"
    )]
    SplitUsr,
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

/// The command that every program is started through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapper {
    /// Its program.
    pub(crate) program: PathBuf,
    /// Its first arguments. The options of `setpriv` come next.
    pub(crate) arguments: Vec<OsString>,
}

/// A program that is needed and not installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} is not installed (looked for {program} in {places}); on Debian: apt-get install --no-install-recommends {package}"
)]
pub struct NotInstalled {
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

    /// What a Debian in the directory `root` offers. Its programs see this machine with that system's `/usr`, in a
    /// mount namespace of their own: files, ports and accounts are this machine's, and no mount is left behind.
    pub fn of_root(root: &Path) -> Result<Self, RootError> {
        let root = root.canonicalize().map_err(|_| RootError::NoSystem(root.to_owned()))?;
        if !root.join("usr/bin").is_dir() {
            return Err(RootError::NoSystem(root));
        }
        if !account::is_root() {
            return Err(RootError::NotRoot(root));
        }
        let lies_in_usr = |folder| fs::canonicalize(folder).is_ok_and(|path| path.starts_with("/usr"));
        if !lies_in_usr("/bin") || !lies_in_usr("/lib") {
            return Err(RootError::SplitUsr);
        }
        Ok(Self { root, search_path: vec![PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")] })
    }

    /// RabbitMQ 4.0 and PostgreSQL 17, where `./dev generation-2` puts them.
    pub fn generation_2() -> Result<Self, RootError> {
        let home = env::var_os("HOME").unwrap_or_default();
        Self::of_root(&Path::new(&home).join(".cache/paysaga/generation-2"))
    }

    /// PostgreSQL from `PATH`, else the newest of Debian's `/usr/lib/postgresql/*/bin`: Debian keeps the server
    /// off `PATH` because several generations may be installed side by side.
    pub fn postgres(&self) -> Result<PostgresPrograms, NotInstalled> {
        let mut folders = self.search_path.clone();
        folders.extend(self.debian_postgres_folders());
        folders
            .iter()
            .map(|folder| PostgresPrograms {
                initdb: folder.join("initdb"),
                postgres: folder.join("postgres"),
            })
            .find(|programs| self.has_program(&programs.initdb) && self.has_program(&programs.postgres))
            .ok_or(NotInstalled {
                what: "PostgreSQL",
                program: "initdb and postgres",
                places: "PATH and /usr/lib/postgresql/*/bin",
                package: "postgresql",
            })
    }

    /// RabbitMQ from a folder that was added to `PATH` (by Nix, by hand), else from Debian's own folder, else from any
    /// folder on `PATH`. The order matters twice. What Debian has on `PATH` is a script that refuses ordinary users and,
    /// as root, changes to the system's `rabbitmq` account. And the server takes Erlang from `PATH`: Debian's server must
    /// not run on Nix's Erlang.
    pub fn rabbitmq(&self) -> Result<RabbitMqPrograms, NotInstalled> {
        let missing = |program| NotInstalled {
            what: "RabbitMQ",
            program,
            places: "/usr/lib/rabbitmq/bin and PATH",
            package: "rabbitmq-server",
        };
        let of_the_system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
        let added = self.search_path.iter().filter(|folder| !of_the_system.contains(folder));
        let mut folders: Vec<PathBuf> = added.cloned().collect();
        folders.push(PathBuf::from("/usr/lib/rabbitmq/bin"));
        folders.extend(self.search_path.clone());
        let (server, ctl) = folders
            .iter()
            .map(|folder| (folder.join("rabbitmq-server"), folder.join("rabbitmqctl")))
            .find(|(server, ctl)| self.has_program(server) && self.has_program(ctl))
            .ok_or_else(|| missing("rabbitmq-server and rabbitmqctl"))?;
        let epmd = self
            .on_path("epmd")
            .or_else(|| Some(PathBuf::from("/usr/lib/erlang/bin/epmd")).filter(|epmd| self.has_program(epmd)))
            .ok_or_else(|| missing("Erlang's epmd"))?;
        Ok(RabbitMqPrograms { server, ctl, epmd })
    }

    /// `setpriv` of util-linux, which has the kernel end a child with us and drops privileges without unsafe code;
    /// before it what a program of another system needs.
    pub(crate) fn wrapper(&self) -> Result<Wrapper, NotInstalled> {
        let setpriv = self.util_linux("setpriv")?;
        if self.root == Path::new("/") {
            return Ok(Wrapper { program: setpriv, arguments: Vec::new() });
        }
        let shell = ["--mount", "--", "/bin/sh", "-c", WITH_OTHER_USR].map(OsString::from);
        let paths = [self.root.join("usr"), setpriv].map(OsString::from);
        Ok(Wrapper {
            program: Self::of_this_machine().util_linux("unshare")?,
            arguments: shell.into_iter().chain(paths).collect(),
        })
    }

    /// `PATH` for what is started.
    pub(crate) fn search_path(&self) -> OsString {
        // They were split at what could keep them from being joined.
        env::join_paths(&self.search_path).unwrap_or_default()
    }

    fn util_linux(&self, program: &'static str) -> Result<PathBuf, NotInstalled> {
        let missing = NotInstalled { what: program, program, places: "PATH", package: "util-linux" };
        self.on_path(program).ok_or(missing)
    }

    /// The first executable of that name on the search path.
    pub(crate) fn on_path(&self, program: &str) -> Option<PathBuf> {
        self.search_path
            .iter()
            .map(|folder| folder.join(program))
            .find(|candidate| self.has_program(candidate))
    }

    /// Whether there is such a program.
    fn has_program(&self, program: &Path) -> bool {
        fs::metadata(self.path_on_this_machine(program))
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }

    /// Where on this machine a path of the installation is.
    fn path_on_this_machine(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// `/usr/lib/postgresql/<generation>/bin`, newest first.
    fn debian_postgres_folders(&self) -> Vec<PathBuf> {
        let folder = Path::new("/usr/lib/postgresql");
        let Ok(entries) = fs::read_dir(self.path_on_this_machine(folder)) else {
            return Vec::new();
        };
        let mut generations: Vec<(u32, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let generation = entry.file_name().to_str()?.parse().ok()?;
                Some((generation, folder.join(entry.file_name()).join("bin")))
            })
            .collect();
        generations.sort_unstable_by(|one, other| other.cmp(one));
        generations.into_iter().map(|(_, folder)| folder).collect()
    }
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
        let search_path = path.iter().map(PathBuf::from).collect();
        let installation = Installation { root: root.path().to_owned(), search_path };
        (root, installation)
    }

    #[test]
    fn the_newest_postgresql_of_debian_is_taken_by_number_not_by_spelling() {
        let (_root, machine) = machine(
            &[
                "usr/lib/postgresql/9/bin/initdb",
                "usr/lib/postgresql/9/bin/postgres",
                "usr/lib/postgresql/17/bin/initdb",
                "usr/lib/postgresql/17/bin/postgres",
                "usr/lib/postgresql/common/bin/initdb",
            ],
            &["/usr/bin"],
        );
        assert_eq!(machine.postgres().unwrap().postgres, Path::new("/usr/lib/postgresql/17/bin/postgres"));
    }

    #[test]
    fn postgresql_on_path_comes_before_debians_folders() {
        let (_root, machine) = machine(
            &[
                "nix/bin/initdb",
                "nix/bin/postgres",
                "usr/lib/postgresql/15/bin/initdb",
                "usr/lib/postgresql/15/bin/postgres",
            ],
            &["/nix/bin"],
        );
        assert_eq!(machine.postgres().unwrap().initdb, Path::new("/nix/bin/initdb"));
    }

    #[test]
    fn debians_script_on_path_is_never_taken_for_the_server() {
        let (_root, machine) = machine(
            &[
                "usr/sbin/rabbitmq-server",
                "usr/sbin/rabbitmqctl",
                "usr/lib/rabbitmq/bin/rabbitmq-server",
                "usr/lib/rabbitmq/bin/rabbitmqctl",
                "usr/bin/epmd",
            ],
            &["/usr/sbin", "/usr/bin"],
        );
        assert_eq!(machine.rabbitmq().unwrap().server, Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server"));
    }

    #[test]
    fn a_rabbitmq_that_was_added_to_path_comes_before_debians() {
        let (_root, machine) = machine(
            &[
                "nix/bin/rabbitmq-server",
                "nix/bin/rabbitmqctl",
                "nix/bin/epmd",
                "usr/sbin/rabbitmq-server",
                "usr/sbin/rabbitmqctl",
                "usr/lib/rabbitmq/bin/rabbitmq-server",
                "usr/lib/rabbitmq/bin/rabbitmqctl",
                "usr/bin/epmd",
            ],
            &["/nix/bin", "/usr/sbin", "/usr/bin"],
        );
        let programs = machine.rabbitmq().unwrap();
        assert_eq!(programs.server, Path::new("/nix/bin/rabbitmq-server"));
        assert_eq!(programs.epmd, Path::new("/nix/bin/epmd"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let (_root, machine) = machine(&[], &["/usr/bin"]);
        assert!(
            machine
                .postgres()
                .unwrap_err()
                .to_string()
                .ends_with("apt-get install --no-install-recommends postgresql")
        );
        let (_root, without_epmd) = self::machine(
            &["usr/lib/rabbitmq/bin/rabbitmq-server", "usr/lib/rabbitmq/bin/rabbitmqctl"],
            &["/usr/bin"],
        );
        let message = without_epmd.rabbitmq().unwrap_err().to_string();
        assert!(message.contains("epmd") && message.ends_with("rabbitmq-server"), "{message}");
    }

    #[test]
    fn a_directory_without_a_system_is_refused_with_what_makes_one() {
        let folder = tempfile::tempdir().unwrap();
        for place in [folder.path(), Path::new("/nowhere")] {
            let refusal = Installation::of_root(place).unwrap_err().to_string();
            assert!(refusal.contains("./dev generation-2"), "{refusal}");
        }
    }

    #[test]
    fn programs_of_another_system_see_its_usr_and_start_through_its_setpriv() {
        let (root, machine) = machine(&["usr/bin/setpriv"], &["/usr/bin"]);
        let Wrapper { program, arguments } = machine.wrapper().unwrap();
        assert!(program.ends_with("unshare"));
        assert_eq!(arguments[5..], [root.path().join("usr"), PathBuf::from("/usr/bin/setpriv")]);
        let own = Installation::of_this_machine().wrapper().unwrap();
        assert!(own.program.ends_with("setpriv") && own.arguments.is_empty());
    }
}
