//! What is to be started, and everything that is in the way of it, found before anything starts.

use std::fmt;
use std::path::PathBuf;

use contracts::topology::Service;
use strum::VariantArray;

use super::running::RunningStack;
use crate::installation::{Installation, NotInstalled};
use crate::ports::{NoFreePort, Port, holder};
use crate::services::{MissingProgram, Ports, find_program};

/// What is to be started.
#[derive(Debug)]
pub struct Plan {
    /// The folder in which the services' programs are looked for first.
    pub programs: PathBuf,
    /// The ports of the services; 0 is any free one.
    pub ports: Ports,
    /// Infrastructure that exists already and is used instead of a private one.
    pub existing: InfrastructureUrls,
    /// The Jaeger to start, if any.
    pub jaeger: Option<PathBuf>,
}

/// Where the broker and the databases are. Holds passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InfrastructureUrls {
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
    /// Of health and metrics.
    pub(super) management_port: Port,
}

/// Everything that is in the way of a start.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Obstacles(Vec<Obstacle>);

/// Something that is in the way of a start.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// A server is not installed.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// A service is not built.
    #[error(transparent)]
    Program(#[from] MissingProgram),
    /// Any free port would do, and there is none.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// A service's port is taken.
    #[error(transparent)]
    Taken(#[from] TakenPort),
}

/// Another process listens on the port of a service.
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
    /// Finds programs and ports for every service; the error has everything that is in the way.
    pub(super) fn check(&self, installation: &Installation) -> Result<Vec<Planned>, Obstacles> {
        let mut obstacles: Vec<Obstacle> = Vec::new();
        if self.existing.needs_postgres() {
            obstacles.extend(installation.postgres().err().map(Obstacle::from));
        }
        if self.existing.needs_rabbitmq() {
            obstacles.extend(installation.rabbitmq().err().map(Obstacle::from));
        }
        // Those that were asked for first: a management listener takes what is left.
        let ports: Vec<_> =
            Service::VARIANTS.iter().map(|&service| claim(service, self.ports.of(service))).collect();
        let mut planned = Vec::new();
        for (&service, port) in Service::VARIANTS.iter().zip(ports) {
            let program = find_program(service, &self.programs, installation).map_err(Obstacle::from);
            let management_port = claim_management(service).map_err(Obstacle::from);
            match (program, port, management_port) {
                (Ok(program), Ok(port), Ok(management_port)) => {
                    planned.push(Planned { service, program, port, management_port });
                }
                (program, port, management_port) => {
                    let causes = [program.err(), port.err(), management_port.err()];
                    obstacles.extend(causes.into_iter().flatten());
                }
            }
        }
        if obstacles.is_empty() { Ok(planned) } else { Err(Obstacles(obstacles)) }
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

/// The usual port of a service's health and metrics, or any free one if that is taken.
fn claim_management(service: Service) -> Result<Port, NoFreePort> {
    let usual = match service {
        Service::Gateway => 4000,
        Service::Order => 4001,
        Service::Payment => 4002,
    };
    Port::claim_number(usual).map_or_else(Port::claim, Ok)
}

impl InfrastructureUrls {
    pub(super) fn needs_rabbitmq(&self) -> bool {
        self.rabbitmq_url.is_none()
    }

    pub(super) fn needs_postgres(&self) -> bool {
        self.order_database_url.is_none() || self.payment_database_url.is_none()
    }
}

impl From<RunningStack> for InfrastructureUrls {
    fn from(stack: RunningStack) -> Self {
        Self {
            rabbitmq_url: Some(stack.rabbitmq_url),
            order_database_url: Some(stack.order_database_url),
            payment_database_url: Some(stack.payment_database_url),
        }
    }
}

impl fmt::Debug for InfrastructureUrls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InfrastructureUrls(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn everything_that_is_in_the_way_is_reported_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = || Some("there".to_owned());
        let plan = Plan {
            programs: PathBuf::from("/nowhere"),
            ports: Ports { payment: port, ..Ports::default() },
            existing: InfrastructureUrls {
                rabbitmq_url: url(),
                order_database_url: url(),
                payment_database_url: url(),
            },
            jaeger: None,
        };
        let error = plan.check(&Installation::of_this_machine()).unwrap_err().to_string();
        for expected in
            ["`gateway` is neither", "`order` is neither", &format!("port {port}"), "--payment-port"]
        {
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }

    #[test]
    fn private_servers_are_started_for_what_does_not_exist() {
        let url = || Some("there".to_owned());
        let none = InfrastructureUrls::default();
        assert!(none.needs_postgres() && none.needs_rabbitmq());
        let one_database = InfrastructureUrls { order_database_url: url(), ..none.clone() };
        assert!(one_database.needs_postgres());
        let databases = InfrastructureUrls { payment_database_url: url(), ..one_database };
        assert!(!databases.needs_postgres() && databases.needs_rabbitmq());
    }
}
