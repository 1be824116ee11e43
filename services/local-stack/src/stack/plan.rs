//! What is to be started, and everything that is in the way of it, found before anything starts.

use std::fmt;
use std::path::PathBuf;

use contracts::topology::Service;
use strum::VariantArray;

use crate::installation::{Installation, Missing};
use crate::ports::{Port, PortError, holder};
use crate::services::{MissingProgram, Ports, find_program};

/// What is to be started.
#[derive(Debug)]
pub struct Plan {
    /// Where the services' programs are looked for first.
    pub programs: PathBuf,
    /// The ports of the services; 0 is any free one.
    pub ports: Ports,
    /// Infrastructure that is there already.
    pub given: Given,
    /// The Jaeger to start, if any.
    pub jaeger: Option<PathBuf>,
}

/// Addresses of infrastructure that is used instead of a private one. Holds passwords.
#[derive(Clone, Default)]
pub struct Given {
    /// `amqp://…`
    pub rabbitmq_url: Option<String>,
    /// `postgres://…` of the order service's database.
    pub order_database_url: Option<String>,
    /// `postgres://…` of the payment service's database.
    pub payment_database_url: Option<String>,
}

/// A service that can be started.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) service: Service,
    pub(super) program: PathBuf,
    pub(super) port: Port,
}

/// Everything that is in the way of a start.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Impossible(Vec<Obstacle>);

/// Something that is in the way of a start.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// A server is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A service is not built.
    #[error(transparent)]
    Program(#[from] MissingProgram),
    /// Any free port would do, and there is none.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Somebody has a service's port.
    #[error(transparent)]
    Taken(#[from] TakenPort),
}

/// Somebody listens on a port that a service should have.
#[derive(Debug, thiserror::Error)]
#[error(
    "port {port}, for the service `{service}`, is taken by {holder}; choose another with --{service}-port"
)]
pub struct TakenPort {
    port: u16,
    service: Service,
    holder: String,
}

impl Plan {
    /// Finds programs and ports for every service, or tells all that is in the way.
    pub(super) fn check(&self, installation: &Installation) -> Result<Vec<Planned>, Impossible> {
        let mut obstacles: Vec<Obstacle> = Vec::new();
        if self.given.needs_postgres() {
            obstacles.extend(installation.postgres().err().map(Obstacle::from));
        }
        if self.given.needs_rabbitmq() {
            obstacles.extend(installation.rabbitmq().err().map(Obstacle::from));
        }
        let mut planned = Vec::new();
        for &service in Service::VARIANTS {
            let program = find_program(service, &self.programs, installation).map_err(Obstacle::from);
            match (program, claim(service, self.ports.of(service))) {
                (Ok(program), Ok(port)) => planned.push(Planned { service, program, port }),
                (program, port) => obstacles.extend(program.err().into_iter().chain(port.err())),
            }
        }
        if obstacles.is_empty() { Ok(planned) } else { Err(Impossible(obstacles)) }
    }
}

fn claim(service: Service, port: u16) -> Result<Port, Obstacle> {
    if port == 0 {
        return Ok(Port::claim()?);
    }
    let taken = || TakenPort {
        port,
        service,
        holder: holder::of(port).unwrap_or_else(|| "another process".to_owned()),
    };
    Ok(Port::claim_number(port).ok_or_else(taken)?)
}

impl Given {
    pub(super) fn needs_rabbitmq(&self) -> bool {
        self.rabbitmq_url.is_none()
    }

    pub(super) fn needs_postgres(&self) -> bool {
        self.order_database_url.is_none() || self.payment_database_url.is_none()
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Given(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn everything_that_is_in_the_way_is_told_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = || Some("there".to_owned());
        let plan = Plan {
            programs: PathBuf::from("/nowhere"),
            ports: Ports { payment: port, ..Ports::default() },
            given: Given { rabbitmq_url: url(), order_database_url: url(), payment_database_url: url() },
            jaeger: None,
        };
        let told = plan.check(&Installation::of_this_machine()).unwrap_err().to_string();
        for expected in
            ["`gateway` is neither", "`order` is neither", &format!("port {port}"), "--payment-port"]
        {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        assert!(told.contains(&format!("(process {})", std::process::id())), "{told}");
    }

    #[test]
    fn private_servers_are_needed_for_what_is_not_given() {
        let url = || Some("there".to_owned());
        assert!(Given::default().needs_postgres() && Given::default().needs_rabbitmq());
        assert!(Given { order_database_url: url(), ..Given::default() }.needs_postgres());
        let databases = Given { order_database_url: url(), payment_database_url: url(), rabbitmq_url: None };
        assert!(!databases.needs_postgres() && databases.needs_rabbitmq());
    }
}
