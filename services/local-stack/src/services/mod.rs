//! The three services: their programs, their ports, and how they are stopped.

pub(crate) mod environment;

use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::topology::Service;

use crate::installation::Installation;
use crate::process::{StopPolicy, StopSignal};

pub use environment::otlp_endpoint_of_caller;

/// A service finishes what it has begun before it ends; the timeout is the time for that.
pub(crate) const STOP_POLICY: StopPolicy = StopPolicy {
    signal: StopSignal::Terminate,
    timeout: Duration::from_secs(15),
    parent_death_signal: StopSignal::Terminate,
};

/// The TCP ports of the services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The gateway's.
    pub gateway: u16,
    /// The order service's.
    pub order: u16,
    /// The payment service's.
    pub payment: u16,
}

impl FromIterator<(Service, u16)> for Ports {
    fn from_iter<I: IntoIterator<Item = (Service, u16)>>(of_services: I) -> Self {
        let mut ports = Self::default();
        for (service, port) in of_services {
            match service {
                Service::Gateway => ports.gateway = port,
                Service::Order => ports.order = port,
                Service::Payment => ports.payment = port,
            }
        }
        ports
    }
}

/// The program of a service is neither in its folder nor on `PATH`.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service `{service}` is neither in {folder} nor on PATH; build it with: cargo build --workspace --bins"
)]
pub struct MissingProgram {
    service: Service,
    folder: PathBuf,
}

impl Ports {
    /// The port of one service.
    #[must_use]
    pub fn of(self, service: Service) -> u16 {
        match service {
            Service::Gateway => self.gateway,
            Service::Order => self.order,
            Service::Payment => self.payment,
        }
    }
}

/// The program of a service in `folder`, else on `PATH`.
pub(crate) fn find_program(
    service: Service,
    folder: &Path,
    installation: &Installation,
) -> Result<PathBuf, MissingProgram> {
    let here = folder.join(service.name());
    if here.is_file() {
        return Ok(here);
    }
    let missing = || MissingProgram { service, folder: folder.to_owned() };
    installation.on_path(service.name()).ok_or_else(missing)
}
