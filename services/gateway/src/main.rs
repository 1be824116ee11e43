//! The gateway.

use std::process::ExitCode;

use chassis::service::Service;
use gateway::config::{Config, VARIABLES};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let service = Service {
        name: "gateway",
        about: "the only door: turns commands into events, and answers queries by asking the other services",
        variables: VARIABLES,
        configure: Config::from_environment,
        migrates: false,
    };
    service.run(gateway::start)
}
