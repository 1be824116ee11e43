//! The whole saga on one machine: servers and services as one thing that starts, runs and stops.
//!
//! ```text
//! PostgreSQL ─▶ databases, roles ─┐
//! RabbitMQ ───────────────────────┼─▶ order, payment, gateway ─▶ ready
//! Jaeger ─────────────────────────┘
//! ```
//! It stops the other way round: the gateway accepts no more orders, the services finish what they have begun, then the
//! servers stop. Existing infrastructure can be used instead of a private one, piece by piece; it is not stopped.

pub mod plan;
pub mod running;
mod start;
mod stop;

use std::future::pending;
use std::path::PathBuf;

use contracts::topology::Service;
use futures_util::future::select_all;

use crate::directory::Directory;
use crate::error::Error;
use crate::gateway_key::GatewayKey;
use crate::installation::Installation;
use crate::jaeger::Jaeger;
use crate::postgres::Postgres;
use crate::process::{Process, ProcessError};
use crate::progress::Progress;
use crate::rabbitmq::RabbitMq;
use crate::services::Ports;
use plan::{Plan, Planned};
use running::Published;

/// Everything that runs. What was started is in here from the moment it exists, so that a start that fails or is
/// interrupted can be stopped like any other.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: first what other commands find it by, services before what they use, the directory last.
    published: Option<Published>,
    services: Vec<(Service, Process)>,
    jaeger: Option<Jaeger>,
    postgres: Option<Postgres>,
    rabbitmq: Option<RabbitMq>,
    key: GatewayKey,
    directory: Directory,
    plan: Plan,
    planned: Vec<Planned>,
}

/// Where to find what runs.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The ports of the services.
    pub ports: Ports,
    /// The ports of their health and metrics.
    pub management_ports: Ports,
    /// RabbitMQ's management pages and the file that holds their password, if it is a private one.
    pub rabbitmq: Option<(String, PathBuf)>,
    /// PostgreSQL's port and the file that holds its administrator's password, if it is a private one.
    pub postgres: Option<(u16, PathBuf)>,
    /// The key that the gateway knows.
    pub key: GatewayKey,
    /// Jaeger's pages.
    pub jaeger: Option<String>,
    /// Where the logs are.
    pub logs: PathBuf,
    /// Where those of the run before are, if there was one.
    pub previous_logs: Option<PathBuf>,
}

impl Stack {
    /// Checks whether everything can be started; starts nothing.
    pub fn prepare(installation: &Installation, directory: Directory, plan: Plan) -> Result<Self, Error> {
        let planned = plan.check(installation)?;
        let postgres = plan.existing.needs_postgres().then(|| Postgres::prepare(installation, &directory));
        let rabbitmq = plan.existing.needs_rabbitmq().then(|| RabbitMq::prepare(installation, &directory));
        Ok(Self {
            published: None,
            services: Vec::new(),
            jaeger: None,
            postgres: postgres.transpose()?,
            rabbitmq: rabbitmq.transpose()?,
            key: GatewayKey::load_or_create(directory.gateway())?,
            directory,
            plan,
            planned,
        })
    }

    /// Waits until a part ends without having been stopped. Jaeger's end is only reported: nothing depends on it.
    pub async fn ended(&mut self, progress: &impl Progress) -> ProcessError {
        loop {
            let Self { services, jaeger, postgres, rabbitmq, .. } = self;
            let services = services.iter_mut().map(|(_, process)| Box::pin(process.ended()));
            tokio::select! {
                (ended, ..) = select_all(services) => return ended,
                ended = if_any(postgres.as_mut().map(Postgres::ended)) => return ended,
                ended = if_any(rabbitmq.as_mut().map(RabbitMq::ended)) => return ended,
                ended = if_any(jaeger.as_mut().map(Jaeger::ended)) => {
                    progress.message(&format!("going on without traces: {ended}"));
                    self.jaeger = None;
                }
            }
        }
    }

    /// Where to find what runs.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let Self { jaeger, postgres, rabbitmq, directory, .. } = self;
        Addresses {
            ports: self.ports(),
            management_ports: self.management_ports(),
            rabbitmq: rabbitmq.as_ref().map(|rabbitmq| {
                (rabbitmq.endpoint().management_url(), directory.rabbitmq().join("password"))
            }),
            postgres: postgres
                .as_ref()
                .map(|postgres| (postgres.endpoint().port, directory.postgres().join("password"))),
            key: self.key.clone(),
            jaeger: jaeger.as_ref().map(Jaeger::url),
            logs: directory.logs(),
            previous_logs: Some(directory.previous_logs()).filter(|logs| logs.is_dir()),
        }
    }

    fn ports(&self) -> Ports {
        self.planned.iter().map(|planned| (planned.service, planned.port.number())).collect()
    }

    fn management_ports(&self) -> Ports {
        self.planned.iter().map(|planned| (planned.service, planned.management_port.number())).collect()
    }
}

/// Waits for what there is; indefinitely if there is nothing.
async fn if_any<Wait: Future>(wait: Option<Wait>) -> Wait::Output {
    match wait {
        Some(wait) => wait.await,
        None => pending().await,
    }
}
