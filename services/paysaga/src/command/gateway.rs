//! The options that say which gateway a command talks to.

use std::path::PathBuf;

use clap::Args;

use crate::gateway::{ApiKey, Gateway, GatewayUrl};

/// The gateway of a running stack.
#[derive(Debug, Args)]
#[command(next_help_heading = "Gateway")]
pub(super) struct GatewayOptions {
    /// The gateway's address
    #[arg(long, value_name = "URL", env = "PAYSAGA_GATEWAY", default_value = "http://127.0.0.1:3000")]
    gateway: GatewayUrl,
    /// File that holds an API key, if the gateway wants one
    #[arg(long, value_name = "PATH", env = "PAYSAGA_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
}

impl GatewayOptions {
    pub(super) fn client(&self) -> anyhow::Result<Gateway> {
        let file = self.api_key_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let api_key = file.map(|file| ApiKey::read(file)).transpose()?;
        Ok(Gateway::new(self.gateway.clone(), api_key)?)
    }
}
