//! PostgreSQL and RabbitMQ in one data directory, without services.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::directory::{Directory, DirectoryError};
use crate::installation::Installation;
use crate::postgres::{self, Postgres, PostgresError};
use crate::process::ProcessError;
use crate::rabbitmq::{self, RabbitMq, RabbitMqError};

/// Both servers in one data directory.
#[derive(Debug)]
pub struct Infrastructure {
    // Dropped in this order: the servers end before their directory is removed.
    /// The database server.
    pub postgres: Postgres,
    /// The broker.
    pub rabbitmq: RabbitMq,
    /// What they write.
    pub directory: Directory,
}

/// Everything that another process needs to use the servers. Holds passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// The data directory.
    pub directory: PathBuf,
    /// Where the logs are.
    pub logs: PathBuf,
    /// The database server.
    pub postgres: PostgresDescription,
    /// The broker.
    pub rabbitmq: RabbitMqDescription,
}

/// A running private PostgreSQL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostgresDescription {
    /// Address and superuser.
    pub endpoint: postgres::Endpoint,
    /// `postgres://…` of the maintenance database, as the superuser.
    pub url: String,
    /// The data directory.
    pub data: PathBuf,
    /// The file whose first line is the postmaster's process id.
    pub pid_file: PathBuf,
}

/// A running private RabbitMQ.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RabbitMqDescription {
    /// Addresses and administrator.
    pub endpoint: rabbitmq::Endpoint,
    /// `amqp://…` of the default virtual host; with several nodes the URL of each, separated by commas.
    pub amqp_url: String,
    /// Management pages; the HTTP API is below `/api`.
    pub management_url: String,
    /// The node's name.
    pub node: String,
    /// The file that holds the node's process id.
    pub pid_file: PathBuf,
}

/// The servers can't be set up, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum InfrastructureError {
    /// The data directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The database server.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The broker.
    #[error(transparent)]
    RabbitMq(#[from] RabbitMqError),
}

impl Infrastructure {
    /// Prepares both servers in a directory; starts nothing.
    pub fn prepare(installation: &Installation, directory: Directory) -> Result<Self, InfrastructureError> {
        Self::prepare_cluster(installation, directory, 1)
    }

    /// The same with a RabbitMQ of `size` nodes.
    pub fn prepare_cluster(
        installation: &Installation,
        directory: Directory,
        size: usize,
    ) -> Result<Self, InfrastructureError> {
        let postgres = Postgres::prepare(installation, &directory)?;
        let rabbitmq = RabbitMq::prepare_cluster(installation, &directory, size)?;
        Ok(Self { postgres, rabbitmq, directory })
    }

    /// Starts both at the same time and waits until both serve.
    pub async fn start(&mut self) -> Result<(), InfrastructureError> {
        let Self { postgres, rabbitmq, .. } = self;
        tokio::try_join!(async { postgres.start().await.map_err(InfrastructureError::from) }, async {
            rabbitmq.start().await.map_err(InfrastructureError::from)
        },)?;
        Ok(())
    }

    /// Stops both, and what else still runs in the directory: in order if the directory is kept, at once if it is
    /// ephemeral. May be dropped half-way and followed by [`Infrastructure::kill`].
    pub async fn stop(&mut self) -> Result<(), InfrastructureError> {
        let Self { postgres, rabbitmq, directory } = self;
        let ephemeral = directory.is_ephemeral();
        let (postgres, rabbitmq) = tokio::join!(postgres.stop(), async {
            if ephemeral { rabbitmq.discard().await } else { rabbitmq.stop().await.map(drop) }
        });
        directory.stop_leftovers().await?;
        postgres?;
        Ok(rabbitmq?)
    }

    /// Ends both at once, as a crash would.
    pub async fn kill(&mut self) -> Result<(), InfrastructureError> {
        let Self { postgres, rabbitmq, .. } = self;
        let (postgres, rabbitmq) = tokio::join!(postgres.kill(), rabbitmq.discard());
        postgres?;
        Ok(rabbitmq?)
    }

    /// Waits until one of them ends without having been stopped.
    pub async fn ended(&mut self) -> ProcessError {
        tokio::select! {
            ended = self.postgres.ended() => ended,
            ended = self.rabbitmq.ended() => ended,
        }
    }

    /// What another process needs to use them.
    #[must_use]
    pub fn description(&self) -> Description {
        let Self { postgres, rabbitmq, directory } = self;
        Description {
            directory: directory.path().to_owned(),
            logs: directory.logs(),
            postgres: PostgresDescription {
                endpoint: postgres.endpoint().clone(),
                url: postgres.endpoint().url("postgres"),
                data: postgres.data(),
                pid_file: postgres.pid_file(),
            },
            rabbitmq: RabbitMqDescription {
                endpoint: rabbitmq.endpoint().clone(),
                amqp_url: rabbitmq.amqp_url("/"),
                management_url: rabbitmq.endpoint().management_url(),
                node: rabbitmq.node().to_owned(),
                pid_file: rabbitmq.pid_file(),
            },
        }
    }
}
