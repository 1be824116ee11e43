//! `paysaga`: the operator's command. What it can do is in [`paysaga::command`].

use std::fmt::Write;
use std::process::ExitCode;

use clap::Parser;
use paysaga::command::Cli;
use paysaga::output::printable;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome =
        tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(cli.run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paysaga: {}", printable(&in_words(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes, each once: many of them quote their cause themselves.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if !words.contains(&cause) {
            // Writing to a String can't fail.
            let _ = write!(words, "{}{cause}", if words.is_empty() { "" } else { ": " });
        }
    }
    words
}
