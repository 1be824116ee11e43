//! The log files of child processes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Opens a log to append to it.
pub(super) fn open(log: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(log)
}

/// The last lines of a log, indented, for an error message. Never fails: it belongs to the report of another failure.
pub(super) fn tail(log: &Path) -> String {
    const LINES: usize = 15;
    let text = match read_end(log) {
        Ok(text) if text.trim().is_empty() => return "  (it is empty)".to_owned(),
        Ok(text) => text,
        Err(error) => return format!("  (it cannot be read: {error})"),
    };
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(LINES);
    lines[last..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn read_end(log: &Path) -> io::Result<String> {
    const BYTES: u64 = 16 * 1024;
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_a_long_log_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("long.log");
        let text: Vec<String> = (0..5000).map(|line| format!("line {line}")).collect();
        std::fs::write(&log, text.join("\n")).unwrap();
        let tail = tail(&log);
        assert_eq!(tail.lines().count(), 15);
        assert!(tail.ends_with("  line 4999"));
    }

    #[test]
    fn a_missing_log_does_not_hide_the_failure_that_it_belongs_to() {
        assert!(tail(Path::new("/nowhere/x.log")).contains("cannot be read"));
    }
}
