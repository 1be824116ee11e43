//! What can be typed: one file a subcommand.

mod data_directory;
mod given;
mod infra;
mod up;

use clap::{Parser, Subcommand};

/// An order/payment saga on RabbitMQ and PostgreSQL: run it, watch it, repair it.
#[derive(Debug, Parser)]
#[command(name = "paysaga", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on this machine and keep it running until Ctrl-C
    Up(up::Up),
    /// Start a private PostgreSQL and RabbitMQ only, until standard input ends (for test kits)
    Infra(infra::Infra),
}

impl Cli {
    /// Does what was asked for. An error is what the person who typed it is told.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Up(up) => up.run().await,
            Command::Infra(infra) => infra.run().await,
        }
    }
}
