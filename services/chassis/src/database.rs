//! PostgreSQL: the pool, the migrations, and what an error means.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::config::{Environment, Problems};
use crate::crash_here;
use crate::health::{Health, HealthPart};
use crate::tasks::Tasks;

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
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one transaction may take, from its begin to the answer to its commit. A database that vanished without a
/// word would otherwise be waited for until the kernel gives up.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

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

    /// A pool that connects when it is first used.
    pub fn pool(&self, service: &'static str) -> Result<PgPool, sqlx::Error> {
        self.small_pool(service, self.connections)
    }

    /// A small pool for work beside the service's own.
    pub fn small_pool(&self, service: &'static str, connections: u32) -> Result<PgPool, sqlx::Error> {
        let options = self.options(service)?.options(SESSION);
        Ok(pool_of(connections).connect_lazy_with(options))
    }

    /// A small pool for work that is done again after a crash anyway. Its commits don't wait for the disk
    /// (<https://www.postgresql.org/docs/current/wal-async-commit.html>): a crash of PostgreSQL may undo the last of
    /// them, never tear one.
    pub fn relaxed_pool(&self, service: &'static str, connections: u32) -> Result<PgPool, sqlx::Error> {
        let options = self.options(service)?.options(SESSION).options([("synchronous_commit", "off")]);
        Ok(pool_of(connections).connect_lazy_with(options))
    }

    fn options(&self, service: &'static str) -> Result<PgConnectOptions, sqlx::Error> {
        Ok(PgConnectOptions::from_str(self.url.expose_secret())?
            .application_name(&format!("paysaga {service}"))
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(5)))
    }
}

fn pool_of(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
}

/// Brings the schema up to date, waiting for the database and for other replicas (advisory lock) as long as it takes
/// or until the service is told to stop.
///
/// A schema that is newer than this program is accepted: migrations only ever add, so that two versions can run side by
/// side and a release can be rolled back.
pub async fn migrate(
    config: &DatabaseConfig,
    service: &'static str,
    migrations: &'static Migrator,
    health: &HealthPart,
    stopping: &CancellationToken,
) -> Result<(), MigrateError> {
    let mut backoff = Backoff::for_infrastructure();
    loop {
        let run = async {
            // Not from the pool: building an index on a large table takes longer than any query may.
            let mut connection = config.options(service)?.connect().await?;
            let mut migrator =
                Migrator { migrations: Cow::Borrowed(&migrations.migrations), ..Migrator::DEFAULT };
            migrator.set_ignore_missing(true);
            migrator.run(&mut connection).await?;
            crash_here!("during-migration");
            connection.close().await?;
            Ok::<_, MigrateError>(())
        };
        let outcome = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            outcome = run => outcome,
        };
        match outcome {
            Ok(()) => {
                info!("the schema is up to date");
                return Ok(());
            }
            Err(MigrateError::Execute(error)) if Failure::of(&error) != Failure::Message => {
                health.down(error.to_string());
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            () = backoff.wait() => {}
        }
    }
}

/// Asks the database every two seconds whether it is there, for readiness.
pub fn watch(pool: PgPool, health: &Health, tasks: &Tasks) {
    let part = health.part("database");
    tasks.spawn_every(Duration::from_secs(2), "database watch", move || {
        let (pool, part) = (pool.clone(), part.clone());
        async move {
            match tokio::time::timeout(ACQUIRE_TIMEOUT, sqlx::query("SELECT 1").execute(&pool)).await {
                Ok(Ok(_)) => part.up(),
                Ok(Err(error)) => part.down(error.to_string()),
                Err(_) => part.down("no answer in time"),
            }
        }
    });
}

/// Whose fault a database error is, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The database is away, full, not set up, or its password changed: wait until somebody mended it.
    Infrastructure,
    /// This transaction met another one: try it again.
    Transient,
    /// What was written breaks a rule of the schema: only another input helps.
    Message,
}

impl Failure {
    /// Judges by SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). In doubt nothing is blamed
    /// on the message, since that would dead-letter every message while, say, a table is missing.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
            return match error {
                // A guarded change found its row in another state (see `expect_rows`).
                sqlx::Error::RowNotFound => Self::Transient,
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                    Self::Message
                }
                _ => Self::Infrastructure,
            };
        };
        match &*code {
            // serialization failure, deadlock, lock not available, statement timeout
            "40001" | "40P01" | "55P03" | "57014" => Self::Transient,
            // data exception, integrity constraint violation
            code if code.starts_with("22") || code.starts_with("23") => Self::Message,
            _ => Self::Infrastructure,
        }
    }
}

/// Locks aggregates by id until the end of the transaction, whether their rows exist already or not. Everybody takes
/// the locks in the same order, so two batches that share some orders wait for each other and never deadlock.
pub async fn lock_aggregates(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(key)
         FROM (SELECT DISTINCT hashtextextended(id::text, 0) AS key FROM UNNEST($1::uuid[]) AS id ORDER BY key) AS keys",
    )
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

/// A value of ours that the database holds in another type. One that can't be read was not written by us.
pub fn decode<T, E>(value: Result<T, E>) -> Result<T, sqlx::Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    value.map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Holds a guarded statement to its promise: every row was still in the state that the change starts from.
pub fn expect_rows(result: &PgQueryResult, expected: usize) -> Result<(), sqlx::Error> {
    if result.rows_affected() == expected as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_never_the_messages_fault() {
        assert_eq!(Failure::of(&sqlx::Error::PoolTimedOut), Failure::Infrastructure);
        assert_eq!(
            Failure::of(&sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())),
            Failure::Infrastructure
        );
    }

    #[test]
    fn a_guard_that_did_not_hold_is_tried_again() {
        assert_eq!(Failure::of(&sqlx::Error::RowNotFound), Failure::Transient);
    }
}
