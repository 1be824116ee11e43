//! Proof that a run left nothing behind, by other means than the command's own: any process that names the directory
//! on its command line or in its environment, or works in it, counts.

use std::ffi::OsStr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::{Process, all_processes};

/// Fails unless every process of `directories` goes within the time that the slowest of them may take to stop.
pub(crate) fn wait_until_no_process_of(directories: &[&Path]) {
    const TIMEOUT: Duration = Duration::from_secs(30);
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let left = processes_of(directories);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Name and id of every process that belongs to one of the directories.
pub(crate) fn processes_of(directories: &[&Path]) -> Vec<String> {
    let others = all_processes()
        .unwrap()
        .flatten()
        .filter(|process| process.pid().unsigned_abs() != std::process::id());
    others
        .filter(|process| directories.iter().any(|directory| belongs(process, directory)))
        .map(|process| {
            let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
            format!("{name} {}", process.pid())
        })
        .collect()
}

fn belongs(process: &Process, directory: &Path) -> bool {
    let mentions = |text: &OsStr| text.to_string_lossy().contains(&*directory.to_string_lossy());
    process.cmdline().unwrap_or_default().iter().any(|argument| mentions(argument.as_ref()))
        || process.environ().unwrap_or_default().values().any(|value| mentions(value))
        || process.cwd().unwrap_or_default().starts_with(directory)
}
