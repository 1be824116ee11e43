//! The programs under test: where they are, and how one is run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use tokio::process::Command;

/// Names the folder of other programs to test: static ones, or scripts that start them in containers.
const ELSEWHERE: &str = "PAYSAGA_BINARIES";

/// The environment variables of a program.
pub type Environment = BTreeMap<String, String>;

/// Some environment variables.
#[must_use]
pub fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs a program with exactly these variables until it ends by itself.
pub async fn run(program: &str, arguments: &[&str], environment: &Environment) -> Output {
    let mut command = command(&directory().join(program), environment);
    let run = command.args(arguments).output();
    let ended = tokio::time::timeout(crate::TIMEOUT, run).await;
    ended.unwrap_or_else(|_| panic!("{program} {arguments:?} does not end")).expect("it can be run")
}

/// A program with these variables: on any free ports and with logs in JSON, unless they say otherwise.
pub(crate) fn command(program: &Path, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PORT", "0")
        .env("MANAGEMENT_ADDRESS", "127.0.0.1:0")
        .env("LOG_FORMAT", "json")
        // Where there are none in the usual places.
        .envs(std::env::var_os("SSL_CERT_FILE").map(|authorities| ("SSL_CERT_FILE", authorities)))
        .envs(environment)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The folder of the programs under test: the one that `PAYSAGA_BINARIES` names, else [`built`].
pub(crate) fn directory() -> PathBuf {
    let Some(elsewhere) = std::env::var_os(ELSEWHERE).filter(|folder| !folder.is_empty()) else {
        return built().to_owned();
    };
    let elsewhere = PathBuf::from(elsewhere);
    // cargo runs tests in their package's folder, not in the one that a relative path was meant from.
    assert!(elsewhere.is_absolute(), "{ELSEWHERE} must be an absolute path, not {}", elsewhere.display());
    elsewhere
}

/// The folder of the workspace's programs, built from the source as it is now.
pub(crate) fn built() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        // target/<profile>/deps/<this test>
        let test = std::env::current_exe().expect("a test knows where it is");
        let directory =
            test.ancestors().nth(2).expect("cargo keeps tests in target/<profile>/deps").to_owned();
        build(&directory);
        directory
    })
}

/// cargo builds a package's own programs before its tests, not those of other packages. All of them at once, as `./dev`
/// builds them: another choice of packages is another choice of features, and compiles half of the dependencies again.
fn build(directory: &Path) {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    // What cargo has set for this test's package. ring's build script asks to be run again when it differs, and half of the
    // dependencies would be compiled again with it, each time after a build from a shell.
    let of_this_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if of_this_package.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    cargo.args(["build", "--locked", "--quiet", "--workspace", "--bins"]);
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo can be run");
    assert!(status.success(), "the services can't be built");
}
