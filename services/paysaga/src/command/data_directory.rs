//! The options that say where data is kept.

use std::path::PathBuf;

use clap::Args;
use local_stack::directory::DirectoryError;
use local_stack::{Directory, Installation};

use super::running_stack::DEFAULT_DIRECTORY;

/// Where data is kept, if it is.
#[derive(Debug, Args)]
pub(super) struct DataDirectory {
    /// Keep data, passwords and logs in this directory
    #[arg(long, value_name = "PATH", default_value = DEFAULT_DIRECTORY)]
    directory: PathBuf,
    /// Use a temporary directory and remove it, logs included, at the end
    #[arg(long, conflicts_with = "directory")]
    ephemeral: bool,
}

impl DataDirectory {
    pub(super) async fn open(&self, installation: &Installation) -> Result<Directory, DirectoryError> {
        if self.ephemeral {
            Directory::ephemeral(installation).await
        } else {
            Directory::persistent(&self.directory, installation).await
        }
    }
}
