//! How a service reaches its database, and the pools that it uses.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

use crate::config::{Environment, Problems};

crate::variables! {
    /// How a service uses PostgreSQL.
    pub struct DatabaseVariables {
        /// URL of the service's own PostgreSQL database (`postgres://user:password@host:5432/database`, or `postgres://user@localhost/database?host=/run/postgresql` over the socket).
        database_url: secret,
        /// Most connections to it.
        database_connections = "10",
    }
}

/// How a service uses PostgreSQL.
#[derive(Clone)]
pub struct DatabaseConfig {
    url: SecretString,
    connections: u32,
}

/// How long a query may wait for a free or a new connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits that PostgreSQL itself keeps, in case this process can't: in milliseconds.
const SESSION: [(&str, &str); 3] = [
    ("statement_timeout", "25000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "30000"),
];

impl DatabaseConfig {
    /// Reads [`DatabaseVariables`].
    pub fn from_environment(environment: &Environment, problems: &mut Problems) -> Option<Self> {
        let variables: DatabaseVariables = environment.read(problems)?;
        let url = variables.database_url().secret(problems, |text| {
            let scheme = text.starts_with("postgres://") || text.starts_with("postgresql://");
            match PgConnectOptions::from_str(text) {
                Ok(_) if scheme => Ok(()),
                _ => Err("must be a URL such as postgres://user:password@host:5432/database".to_owned()),
            }
        });
        let connections = variables.database_connections().number(problems, 2..=1000);
        Some(Self { url: url?, connections: connections? })
    }

    /// The service's own pool. Like the others, it connects when it is first used.
    pub fn pool(&self, service: &'static str) -> Result<PgPool, sqlx::Error> {
        self.small_pool(service, self.connections)
    }

    /// A small pool for work beside the service's own.
    pub fn small_pool(&self, user: &'static str, connections: u32) -> Result<PgPool, sqlx::Error> {
        let options = self.options(user)?.options(SESSION);
        Ok(pool_of(connections).connect_lazy_with(options))
    }

    /// A small pool for work that is done again after a crash anyway. Its commits don't wait for the disk
    /// (<https://www.postgresql.org/docs/current/wal-async-commit.html>): a crash of PostgreSQL may undo the last of
    /// them, never tear one.
    pub fn relaxed_pool(&self, user: &'static str, connections: u32) -> Result<PgPool, sqlx::Error> {
        let options = self.options(user)?.options(SESSION).options([("synchronous_commit", "off")]);
        Ok(pool_of(connections).connect_lazy_with(options))
    }

    pub(super) fn options(&self, user: &'static str) -> Result<PgConnectOptions, sqlx::Error> {
        Ok(PgConnectOptions::from_str(self.url.expose_secret())?
            .application_name(&format!("paysaga {user}"))
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(5)))
    }
}

fn pool_of(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
}
