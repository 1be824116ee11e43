//! What is built is what was reviewed: versions and their checksums come from Cargo.lock, and what is fuzzed is what is delivered.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn every_call_of_cargo_is_locked() {
    let mut calls = 0;
    for script in scripts() {
        let text = fs::read_to_string(&script).expect("it can be read");
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', '.'])) {
            let commands = ["build", "test", "clippy", "doc", "tree", "install", "deny", "metadata"];
            let calls_here = commands.iter().filter(|command| line.contains(&format!("cargo {command} --")));
            for command in calls_here {
                calls += 1;
                assert!(line.contains("--locked"), "{}: cargo {command}: {line}", script.display());
            }
        }
    }
    assert!(calls >= 15, "only {calls} calls of cargo were found");
}

#[test]
fn what_is_fuzzed_has_the_versions_that_are_delivered() {
    let delivered = versions("Cargo.lock");
    let fuzzed = versions("fuzz/Cargo.lock");
    assert!(fuzzed.len() > 50, "{fuzzed:?}");
    let names: BTreeSet<_> = delivered.iter().map(|(name, _)| name.clone()).collect();
    let other: Vec<_> =
        fuzzed.difference(&delivered).filter(|(name, _)| names.contains(name.as_str())).collect();
    assert!(other.is_empty(), "cp Cargo.lock fuzz/Cargo.lock, then ./dev fuzz: {other:?}");
}

#[test]
fn every_fuzz_target_begins_with_a_corpus() {
    let targets = fs::read_dir(Path::new(ROOT).join("fuzz/fuzz_targets")).expect("there are targets");
    let targets: Vec<_> = targets.map(|file| file.expect("it can be listed").path()).collect();
    assert!(targets.len() >= 7, "{targets:?}");
    for target in targets {
        let name = target.file_stem().expect("it has a name");
        let corpus = fs::read_dir(Path::new(ROOT).join("fuzz/corpus").join(name)).expect("it has a corpus");
        let count = corpus.count();
        assert!((5..=100).contains(&count), "{} has {count} inputs", name.display());
    }
}

/// Everything that calls cargo for a build, a test or a check.
fn scripts() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let folders = ["packaging", "supply-chain", "fuzz"];
    let scripts = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).expect("it is there"));
    let scripts = scripts.map(|file| file.expect("it can be listed").path());
    scripts
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .chain(["dev", ".ci/run", "nix/checks/rust.nix"].map(|path| root.join(path)))
        .collect()
}

/// Names and versions of the crates in a lock.
fn versions(lock: &str) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(Path::new(ROOT).join(lock)).expect("it can be read");
    let value = |line: Option<&str>, name: &str| {
        line.and_then(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
            .map(str::to_owned)
    };
    text.split("[[package]]\n")
        .filter_map(|package| {
            let mut lines = package.lines();
            Some((value(lines.next(), "name")?, value(lines.next(), "version")?))
        })
        .collect()
}
