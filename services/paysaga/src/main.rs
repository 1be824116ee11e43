//! `paysaga`: the operator's command. What it can do is in [`paysaga::command`].

use std::process::ExitCode;

use clap::Parser;
use paysaga::command::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome =
        tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(cli.run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paysaga: {error:#}");
            ExitCode::FAILURE
        }
    }
}
