//! The options that say which running stack a command works on.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use local_stack::RunningStack;

use crate::gateway::{ApiKey, ApiKeyError, Gateway, GatewayUrl};
use crate::progress::Progress;

/// Where `paysaga up` keeps data unless told otherwise: the directory that `PAYSAGA_HOME` names, else `.paysaga`.
pub(super) fn default_directory() -> PathBuf {
    let named = env::var_os("PAYSAGA_HOME").filter(|directory| !directory.is_empty());
    named.map_or_else(|| PathBuf::from(".paysaga"), PathBuf::from)
}

const DEFAULT_GATEWAY: &str = "http://127.0.0.1:3000";

/// A running stack.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which stack")]
pub(super) struct StackOptions {
    /// The gateway's address [default: that of the stack that runs in --directory, else port 3000 of this machine]
    #[arg(long, value_name = "URL", env = "PAYSAGA_GATEWAY")]
    gateway: Option<GatewayUrl>,
    /// File that holds an API key [default: that of the stack that runs in --directory]
    #[arg(long, value_name = "PATH", env = "PAYSAGA_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
    /// Data directory of the `paysaga up` whose stack it is, if no address is given [default: `PAYSAGA_HOME`, else
    /// .paysaga]
    #[arg(long, value_name = "PATH", conflicts_with = "gateway")]
    directory: Option<PathBuf>,
}

impl StackOptions {
    /// Finds the stack that runs in the data directory, unless the address of a gateway is given, and shows which it is.
    /// That none runs is an error only in a directory that was named.
    pub(super) fn find(&self, progress: &Progress) -> anyhow::Result<Option<RunningStack>> {
        if self.gateway.is_some() {
            return Ok(None);
        }
        let directory = self.directory.clone().unwrap_or_else(default_directory);
        let found = RunningStack::find(&directory)?;
        match &found {
            Some(stack) => {
                let (url, directory) = (&stack.gateway_url, directory.display());
                progress.message(&format!("using the stack that runs in {directory} (gateway {url})"));
            }
            None if self.directory.is_some() => {
                bail!("no stack runs in {} (or it is another user's)", directory.display())
            }
            None => {}
        }
        Ok(found)
    }

    /// Whether the data directory was named.
    pub(super) fn names_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// Finds the stack, and makes a client of its gateway.
    pub(super) fn connect(&self, progress: &Progress) -> anyhow::Result<Gateway> {
        self.gateway(self.find(progress)?.as_ref())
    }

    /// A client of the gateway that was given, else of the stack that was found, else of the one at the usual address.
    pub(super) fn gateway(&self, found: Option<&RunningStack>) -> anyhow::Result<Gateway> {
        let found = found.filter(|_| self.gateway.is_none());
        let url = match (&self.gateway, found) {
            (Some(given), _) => given.clone(),
            (None, Some(stack)) => stack.gateway_url.parse().context("the running stack's gateway")?,
            (None, None) => DEFAULT_GATEWAY.parse().context("the usual gateway")?,
        };
        let key_of_stack = || found.and_then(|stack| ApiKey::parse(&stack.api_key));
        Ok(Gateway::new(url, read_key(self.api_key_file.as_deref())?.or_else(key_of_stack))?)
    }
}

/// The stack that runs in the data directory. If there is none, the error says what to do `instead`.
pub(super) fn stack_in(directory: Option<&Path>, instead: &str) -> anyhow::Result<RunningStack> {
    let directory = directory.map_or_else(default_directory, Path::to_owned);
    RunningStack::find(&directory)?
        .with_context(|| format!("no stack runs in {}; {instead}", directory.display()))
}

/// The API key in a file, if one is named.
pub(super) fn read_key(file: Option<&Path>) -> Result<Option<ApiKey>, ApiKeyError> {
    file.filter(|file| !file.as_os_str().is_empty()).map(ApiKey::read).transpose()
}
