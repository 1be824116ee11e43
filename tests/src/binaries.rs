//! Where the services' programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names the folder of other programs to test: static ones, or scripts that start them in containers.
const ELSEWHERE: &str = "PAYSAGA_BINARIES";

/// The folder of the programs under test, built from the source as it is now unless `PAYSAGA_BINARIES` names another.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        if let Some(elsewhere) = std::env::var_os(ELSEWHERE).filter(|folder| !folder.is_empty()) {
            // cargo runs tests in their package's folder; whoever set this was somewhere else.
            let elsewhere = PathBuf::from(elsewhere);
            assert!(
                elsewhere.is_absolute(),
                "{ELSEWHERE} must be an absolute path, not {}",
                elsewhere.display()
            );
            return elsewhere;
        }
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
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]);
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo can be run");
    assert!(status.success(), "the services can't be built");
}
