//! Proof that a run left nothing behind, by other means than the command's own: any process that names the directory
//! on its command line or in its environment, or works in it, counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Fails unless every process of `directories` goes within the time that the slowest of them may take to stop.
pub(crate) fn wait_until_no_process_of(directories: &[&Path]) {
    const PATIENCE: Duration = Duration::from_secs(30);
    let deadline = Instant::now() + PATIENCE;
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
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    entries
        .filter(|process| {
            process.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok())
        })
        .filter(|process| *process != Path::new("/proc").join(std::process::id().to_string()))
        .filter(|process| directories.iter().any(|directory| belongs(process, directory)))
        .map(|process| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            format!("{} {}", name.trim_end(), process.display())
        })
        .collect()
}

fn belongs(process: &Path, directory: &Path) -> bool {
    let mentions = |file: &str| {
        let content = fs::read(process.join(file)).unwrap_or_default();
        let directory = directory.as_os_str().as_encoded_bytes();
        content.windows(directory.len()).any(|window| window == directory)
    };
    let works_in: PathBuf = fs::read_link(process.join("cwd")).unwrap_or_default();
    mentions("cmdline") || mentions("environ") || works_in.starts_with(directory)
}
