//! The documents in `docs` that are generated.
//!
//! `./dev documents` writes them: it runs these tests with `UPDATE_DOCUMENTS=1`.

use std::path::PathBuf;

use crate::{events, problems};

fn is_generated(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&path, text).expect("it can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(found, text)| found != text);
    let line = differs.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1;
    assert!(found == text, "docs/{name} is not what is generated, from line {line} on: run ./dev documents");
}

#[test]
fn the_events_are_described_as_they_are() {
    is_generated("EVENTS.md", &events::document());
}

#[test]
fn the_problems_are_described_as_they_are() {
    is_generated("PROBLEMS.md", &problems::document());
}
