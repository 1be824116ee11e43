//! The processes of this machine, as /proc shows them.

use std::fs;
use std::io;
use std::path::PathBuf;

/// The id and the folder in /proc of every process. Each may be gone by the time it is looked at.
pub(crate) fn list() -> io::Result<impl Iterator<Item = (i32, PathBuf)>> {
    Ok(fs::read_dir("/proc")?.filter_map(Result::ok).filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some((id, entry.path()))
    }))
}
