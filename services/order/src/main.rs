//! The order service.

use std::process::ExitCode;

use chassis::program::Program;
use contracts::topology::Service;
use order::config::{Config, VARIABLES};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        service: Service::Order,
        about: "owns the orders: places them, cancels them, and moves them by what becomes of their payments",
        variables: VARIABLES,
        commit: option_env!("PAYSAGA_COMMIT"),
        configure: Config::from_environment,
    };
    program.run(order::start)
}
