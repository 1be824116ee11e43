//! The payment service.

use std::process::ExitCode;

use chassis::service::Service;
use payment::config::{Config, VARIABLES};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let service = Service {
        name: "payment",
        about: "owns the payments: charges them at the provider, and refunds what a cancelled order has paid",
        variables: VARIABLES,
        configure: Config::from_environment,
        migrates: true,
    };
    service.run(payment::start)
}
