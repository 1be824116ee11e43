//! The servers of a run, which the suite stops, kills and starts.

use local_stack::postgres::Postgres;
use local_stack::rabbitmq::RabbitMq;
use local_stack::{Directory, Infrastructure, Installation};
use sqlx::{Connection, PgConnection};

/// One private PostgreSQL and one private RabbitMQ, which may be a cluster.
pub struct Servers {
    infrastructure: Infrastructure,
}

impl Servers {
    /// Starts both, of the given installation, in an ephemeral directory.
    pub async fn start(installation: &Installation) -> anyhow::Result<Self> {
        Self::start_cluster(installation, 1).await
    }

    /// The same with a RabbitMQ of so many nodes.
    pub async fn start_cluster(installation: &Installation, nodes: usize) -> anyhow::Result<Self> {
        // reqwest is built without a TLS provider of its own. Where one is installed already, this changes nothing.
        rustls::crypto::ring::default_provider().install_default().ok();
        let directory = Directory::ephemeral(installation).await?;
        let mut infrastructure = Infrastructure::prepare_cluster(installation, directory, nodes)?;
        infrastructure.start().await?;
        Ok(Self { infrastructure })
    }

    /// The database server.
    pub const fn postgres(&mut self) -> &mut Postgres {
        &mut self.infrastructure.postgres
    }

    /// The broker.
    pub const fn rabbitmq(&mut self) -> &mut RabbitMq {
        &mut self.infrastructure.rabbitmq
    }

    /// How many nodes the broker has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.infrastructure.rabbitmq.nodes().count()
    }

    /// Both, to be broken at the same time.
    pub const fn both(&mut self) -> (&mut Postgres, &mut RabbitMq) {
        (&mut self.infrastructure.postgres, &mut self.infrastructure.rabbitmq)
    }

    /// Starts what a scenario left stopped.
    pub async fn start_stopped(&mut self) -> anyhow::Result<()> {
        if self.infrastructure.postgres.id().is_none() {
            self.infrastructure.postgres.start().await?;
        }
        if self.infrastructure.rabbitmq.nodes().any(|node| node.id().is_none()) {
            self.infrastructure.rabbitmq.start().await?;
        }
        Ok(())
    }

    /// Stops both for good.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.infrastructure.stop().await?)
    }

    /// Which generation they are: `PostgreSQL 15.18, RabbitMQ 3.10.8`.
    pub async fn versions(&mut self) -> anyhow::Result<String> {
        let url = self.infrastructure.postgres.endpoint().url("postgres");
        let mut connection = PgConnection::connect(&url).await?;
        let postgres: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
        let postgres = postgres.split(' ').next().unwrap_or_default();
        let printed = self.infrastructure.rabbitmq.ctl(&["version"]).await?;
        let rabbitmq = printed.lines().last().unwrap_or_default().trim();
        Ok(format!("PostgreSQL {postgres}, RabbitMQ {rabbitmq}"))
    }
}
