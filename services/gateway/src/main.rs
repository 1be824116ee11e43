//! The gateway.

use std::process::ExitCode;

use chassis::program::Program;
use contracts::topology::Service;
use gateway::config::{Config, VARIABLES};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        service: Service::Gateway,
        about: "the only door: turns commands into events, and answers queries by asking the other services",
        variables: VARIABLES,
        commit: option_env!("PAYSAGA_COMMIT"),
        configure: Config::from_environment,
    };
    program.run(gateway::start)
}
