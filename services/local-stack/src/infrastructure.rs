//! PostgreSQL and RabbitMQ in one data directory, without services.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::error::Error;
use crate::installation::Installation;
use crate::postgres::{self, Postgres};
use crate::process::ProcessError;
use crate::rabbitmq::{self, RabbitMq};

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
    /// PostgreSQL's data directory.
    pub postgres_data: PathBuf,
    /// The database server.
    pub postgres: postgres::Endpoint,
    /// The broker; of a cluster its first node.
    pub rabbitmq: rabbitmq::Endpoint,
}

impl Infrastructure {
    /// Prepares both servers in a directory; starts nothing.
    pub fn prepare(installation: &Installation, directory: Directory) -> Result<Self, Error> {
        Self::prepare_cluster(installation, directory, 1)
    }

    /// The same with a RabbitMQ of `size` nodes.
    pub fn prepare_cluster(
        installation: &Installation,
        directory: Directory,
        size: usize,
    ) -> Result<Self, Error> {
        let postgres = Postgres::prepare(installation, &directory)?;
        let rabbitmq = RabbitMq::prepare_cluster(installation, &directory, size)?;
        Ok(Self { postgres, rabbitmq, directory })
    }

    /// Starts both at the same time and waits until both serve.
    pub async fn start(&mut self) -> Result<(), Error> {
        let Self { postgres, rabbitmq, .. } = self;
        tokio::try_join!(postgres.start(), rabbitmq.start())?;
        Ok(())
    }

    /// Stops both, and what else still runs in the directory: in order if the directory is kept, at once if it is
    /// ephemeral. May be dropped half-way and followed by [`Infrastructure::kill`].
    pub async fn stop(&mut self) -> Result<(), Error> {
        let Self { postgres, rabbitmq, directory } = self;
        let ephemeral = directory.is_ephemeral();
        let (postgres, rabbitmq) = tokio::join!(postgres.stop(), async {
            if ephemeral { rabbitmq.discard().await } else { rabbitmq.stop().await.map(drop) }
        });
        directory.stop_leftovers().await?;
        postgres?;
        rabbitmq
    }

    /// Ends both at once, as a crash would.
    pub async fn kill(&mut self) -> Result<(), Error> {
        let Self { postgres, rabbitmq, .. } = self;
        let (postgres, rabbitmq) = tokio::join!(postgres.kill(), rabbitmq.discard());
        postgres?;
        rabbitmq
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
            postgres_data: postgres.data(),
            postgres: postgres.endpoint().clone(),
            rabbitmq: rabbitmq.endpoint().clone(),
        }
    }
}
