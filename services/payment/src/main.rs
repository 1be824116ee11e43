//! The payment service.

use std::process::ExitCode;

use chassis::program::Program;
use contracts::topology::Service;
use payment::config::{Config, VARIABLES};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        service: Service::Payment,
        about: "owns the payments: charges them at the provider, and refunds what a cancelled order has paid",
        variables: VARIABLES,
        commit: option_env!("PAYSAGA_COMMIT"),
        configure: Config::from_environment,
    };
    program.run(payment::start)
}
